"""A way into tasks that leaves no log, or that nobody asked for, is said."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from policy.execute_command import nobody_can_enter_by_accident, sessions_are_logged
from policy.invariants import violations
from policy.resource import Resource
from tests.infra.graph import stack_graph

Change = Callable[[dict[str, Any]], None]


def entered(kind: str | None = None, change: Change | None = None) -> Sequence[Resource]:
    """Production with a way into its tasks, and the properties of its one resource of a kind changed."""
    resources = stack_graph("prod", enable_execute_command="true").resources
    if kind is None or change is None:
        return resources
    [target] = [r for r in resources if r.custom and r.type.endswith(f":{kind}")]
    properties = deepcopy(dict(target.properties))
    change(properties)
    return [replace(r, properties=properties) if r is target else r for r in resources]


def sessions(cluster: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = cluster["configuration"]["executeCommandConfiguration"]
    return found


def test_a_logged_way_in_is_fine() -> None:
    assert violations(entered()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("configuration"), "keeps no log of it"),
        (lambda c: sessions(c).update(logging="DEFAULT"), "keeps no log of it"),
        (
            lambda c: sessions(c)["logConfiguration"].update(cloudWatchLogGroupName="another"),
            "keeps no log of it",
        ),
        (
            lambda c: sessions(c)["logConfiguration"].update(cloudWatchEncryptionEnabled=False),
            "keeps sessions where their log is not encrypted",
        ),
        (lambda c: sessions(c).update(kmsKeyId=None), "does not encrypt sessions with the stack's key"),
    ],
)
def test_sessions_that_nobody_could_read_later_are_said(change: Change, words: str) -> None:
    found = sessions_are_logged(entered("Cluster", change))
    assert any(words in sentence for sentence in found), found


def test_a_role_that_can_open_sessions_without_a_reason_is_said() -> None:
    shut = entered("Service", lambda service: service.update(enableExecuteCommand=False))
    assert nobody_can_enter_by_accident(shut) == [
        "RolePolicy task may open sessions, and no service lets people into its tasks"
    ]
