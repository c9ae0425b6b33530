"""Only what staging has run is promoted, and production is told to run it."""

import subprocess
from typing import Any

import pytest

from infra import promote
from infra.promote import PromoteError, running_image

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/registry-1@sha256:" + "a" * 64


class Ecs:
    """ECS with one service."""

    def __init__(self, image: str = IMAGE, **primary: Any) -> None:
        self.primary = {
            "status": "PRIMARY",
            "rolloutState": "COMPLETED",
            "runningCount": 2,
            "desiredCount": 2,
        }
        self.primary |= {"taskDefinition": "gateway:7", **primary}
        self.others: list[dict[str, Any]] = []
        self.image = image

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        if services != ["gateway"]:
            return {"services": []}
        return {"services": [{"deployments": [self.primary, *self.others], "clusterArn": cluster}]}

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:  # noqa: N803
        assert taskDefinition == "gateway:7"
        return {"taskDefinition": {"containerDefinitions": [{"image": self.image}]}}


def test_the_digest_is_the_one_that_runs() -> None:
    running = running_image(Ecs(), "c", "gateway")
    assert (running.digest, running.tasks) == ("sha256:" + "a" * 64, 2)


@pytest.mark.parametrize(
    ("ecs", "words"),
    [
        (Ecs(rolloutState="IN_PROGRESS"), "staging's deployment is IN_PROGRESS"),
        (Ecs(rolloutState="FAILED", rolloutStateReason="tasks failed to start."), "tasks failed to start"),
        (Ecs(runningCount=1), "staging runs 1 of 2 tasks"),
        (Ecs(runningCount=0, desiredCount=0), "staging runs 0 of 0 tasks"),
        (Ecs("registry-1:latest"), "which is no digest"),
    ],
)
def test_what_has_not_run_is_not_promoted(ecs: Ecs, words: str) -> None:
    with pytest.raises(PromoteError, match=words):
        running_image(ecs, "c", "gateway")


def test_an_old_deployment_that_still_drains_is_waited_for() -> None:
    ecs = Ecs()
    ecs.others = [{"status": "ACTIVE"}]
    with pytest.raises(PromoteError, match="Wait for it"):
        running_image(ecs, "c", "gateway")


def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(PromoteError, match="has no service other"):
        running_image(Ecs(), "c", "other")


@pytest.fixture
def pulumi(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers of the pulumi command by stack, and the commands it was given."""
    known: dict[str, Any] = {"outputs": {"staging": "{}", "prod": "{}"}, "commands": []}

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        known["commands"].append(command)
        return subprocess.CompletedProcess(command, 0, known["outputs"][command[-1]], "")

    monkeypatch.setattr(subprocess, "run", run)
    return known


@pytest.mark.parametrize("outputs", ["{}", '{"repository_url": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}'])
def test_production_without_a_registry_is_told_how_to_make_it_first(
    pulumi: dict[str, Any], capsys: pytest.CaptureFixture[str], outputs: str
) -> None:
    pulumi["outputs"]["prod"] = outputs
    pulumi["outputs"]["staging"] = '{"cache_user_id": "x"}'
    assert promote.main([]) == 1
    said = capsys.readouterr().err
    assert "stack prod has no registry yet" in said
    assert "pulumi up -s prod --target '**providers:aws::aws'" in said


def test_the_digest_is_set_in_productions_config_after_the_copy(
    pulumi: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi["outputs"] = {
        "staging": '{"cache_user_id": "x"}',
        "prod": '{"repository_url": "123456789012.dkr.ecr.us-east-1.amazonaws.com/registry-2"}',
    }
    digest = "sha256:" + "b" * 64
    monkeypatch.setattr(promote, "promote", lambda *_: digest)
    assert promote.main([]) == 0
    assert pulumi["commands"][-1] == ["pulumi", "config", "set", "image_digest", digest, "--stack", "prod"]
    assert "pulumi up -s prod" in capsys.readouterr().out
