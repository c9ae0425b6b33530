"""ECS Exec: off unless asked for; then logged and encrypted, on a root file system that stays read-only."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.container import container_definitions
from infra.execute_command import AGENT_PATHS, CHANNEL_ACTIONS
from policy.invariants import violations
from tests.infra.graph import StackGraph, stack_graph
from tests.infra.test_container import CONTAINER
from tests.infra.test_roles import grants


@pytest.fixture(params=["staging", "prod"])
def open_to_people(request: pytest.FixtureRequest) -> StackGraph:
    return stack_graph(request.param, enable_execute_command="true")


def container(graph: StackGraph) -> dict[str, Any]:
    [found] = json.loads(graph.one("TaskDefinition").get("containerDefinitions"))
    return dict(found)


def test_nobody_enters_a_task_unless_the_config_says_so(either: StackGraph) -> None:
    assert either.one("Service").get("enableExecuteCommand") is False
    assert either.one("Cluster").get("configuration") is None
    assert either.one("TaskDefinition").get("volumes") is None
    assert container(either)["mountPoints"] == []
    assert not [action for action in grants(either, "task") if action.startswith(("ssmmessages:", "logs:"))]
    assert "logs-sessions" not in {group.name for group in either.all("LogGroup")}


def test_sessions_are_kept_and_encrypted_with_the_stacks_key(open_to_people: StackGraph) -> None:
    key, group = open_to_people.one("Key"), open_to_people.one("LogGroup", "logs-sessions")
    assert open_to_people.one("Service").get("enableExecuteCommand") is True
    assert group.get("kmsKeyId") == key.get("arn")
    assert group.get("retentionInDays") == open_to_people.one("LogGroup", "logs-gateway").get(
        "retentionInDays"
    )
    assert open_to_people.one("Cluster").get("configuration", "executeCommandConfiguration") == {
        "kmsKeyId": key.get("arn"),
        "logging": "OVERRIDE",
        "logConfiguration": {
            "cloudWatchEncryptionEnabled": True,
            "cloudWatchLogGroupName": group.get("name"),
        },
    }
    assert group.get("arn") in key.get("policy")


def test_the_agent_gets_its_channels_its_log_and_the_key(open_to_people: StackGraph) -> None:
    granted = grants(open_to_people, "task")
    group = open_to_people.one("LogGroup", "logs-sessions").get("arn")
    assert {action for action in granted if action.startswith("ssmmessages:")} == set(CHANNEL_ACTIONS)
    assert granted["logs:PutLogEvents"] == granted["logs:CreateLogStream"] == {f"{group}:*"}
    assert granted["logs:DescribeLogGroups"] == {"arn:aws:logs:us-east-1:123456789012:log-group:*"}
    assert granted["kms:Decrypt"] == {open_to_people.one("Key").get("arn")}


def test_the_agent_writes_to_volumes_and_nobody_to_the_root(open_to_people: StackGraph) -> None:
    definition = container(open_to_people)
    assert definition["readonlyRootFilesystem"] is True
    assert definition["linuxParameters"] == {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True}
    mounted = {m["sourceVolume"]: m["containerPath"] for m in definition["mountPoints"] if not m["readOnly"]}
    assert mounted == AGENT_PATHS
    assert set(mounted.values()) >= {"/var/lib/amazon/ssm", "/var/log/amazon/ssm"}
    volumes = open_to_people.one("TaskDefinition").get("volumes")
    assert [volume["name"] for volume in volumes] == list(AGENT_PATHS)


def test_turning_it_on_changes_nothing_else_of_the_container() -> None:
    [on] = json.loads(container_definitions(replace(CONTAINER, execute_command=True)))
    [off] = json.loads(container_definitions(CONTAINER))
    assert {key for key in on if on[key] != off[key]} == {"mountPoints"}


def test_a_stack_with_it_satisfies_every_invariant(open_to_people: StackGraph) -> None:
    assert violations(open_to_people.resources) == []


def test_without_nat_the_agent_has_an_endpoint() -> None:
    graph = stack_graph("staging", enable_execute_command="true", interface_endpoints="true")
    names = [endpoint.get("serviceName") for endpoint in graph.all("VpcEndpoint")]
    assert "com.amazonaws.us-east-1.ssmmessages" in names


def test_production_says_at_every_up_that_its_tasks_can_be_entered() -> None:
    def warned(stack: str) -> list[str]:
        warnings = stack_graph(stack, enable_execute_command="true").warnings
        return [w for w in warnings if "enable_execute_command false" in w]

    assert len(warned("prod")) == 1
    assert warned("staging") == []
