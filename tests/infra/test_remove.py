"""Staging goes by one command; what is protected stays, and the refusal says how to go on."""

import subprocess
from typing import Any

import pytest

from infra.remove import main
from tests.infra.graph import StackGraph


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that were run; each succeeds."""
    commands: list[list[str]] = []

    def run(command: list[str], check: bool) -> Any:
        assert check is False
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("infra.remove.subprocess.run", run)
    return commands


def test_staging_is_removed(ran: list[list[str]]) -> None:
    assert main(["--stack", "staging"]) == 0
    assert ran == [["pulumi", "destroy", "--yes", "--stack", "staging"]]


def test_production_is_refused_with_the_commands_that_would_allow_it(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "prod"]) == 1
    assert ran == []
    said = capsys.readouterr().err
    for command in (
        "pulumi config set deletion_protection false --stack prod",
        "pulumi up --stack prod",
        "python -m infra.remove --stack prod",
    ):
        assert command in said


def test_a_stack_that_is_not_there_is_refused(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "production"]) == 1
    assert ran == []
    assert "there is prod, staging" in capsys.readouterr().err


def test_without_pulumi_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr("infra.remove.subprocess.run", missing)
    assert main(["--stack", "staging"]) == 1
    assert "install the Pulumi CLI" in capsys.readouterr().err


def destroyed(graph: StackGraph) -> set[str]:
    """Kinds that `pulumi destroy --skip-preview` removes: it goes on past what is protected, and keeps what
    that depends on."""
    kept = {r.urn for r in graph.resources if r.protect}
    for urn in list(kept):
        kept |= graph.waits_for(urn)
    return {r.type.rpartition(":")[2] for r in graph.resources if r.custom and r.urn not in kept}


def test_a_destroy_without_preview_takes_nothing_from_production_that_serves_or_keeps_data(
    production: StackGraph,
) -> None:
    watching = {"Dashboard", "EventRule", "EventTarget", "LogGroup", "LogMetricFilter", "LogResourcePolicy"}
    watching |= {"Budget", "MetricAlarm", "QueryDefinition", "TopicSubscription"}
    scaling, operators = {"Policy", "Target"}, {"Role", "RolePolicy"}
    labels = {"Alias", "LifecyclePolicy", "aws"}
    assert destroyed(production) == watching | scaling | operators | labels
    taken = {r.name for r in production.all("Role")} - {
        r.name for r in production.all("Role") if r.urn in production.waits_for(production.one("Service").urn)
    }
    assert taken == {"access-reader", "access-deployer", "flow-logs"}


def test_nothing_of_staging_is_protected(staging: StackGraph) -> None:
    assert [r for r in staging.resources if r.protect] == []
