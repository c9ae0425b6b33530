"""The container definition is rendered one way only, with everything explicit and in order."""

import json
from dataclasses import replace
from pathlib import Path

from infra.container import Container, container_definitions
from tests.infra.graph import StackGraph, run_in_own_process

GOLDEN = Path(__file__).parent / "golden" / "container_definitions.json"

CONTAINER = Container(
    image="registry/gateway@sha256:" + "a" * 64,
    environment={"GATEWAY_REGION": "us-east-1", "GATEWAY_PORT": "8080"},
    secrets={"GATEWAY_KEY_PEPPER": "arn:aws:secretsmanager:us-east-1:123456789012:secret:pepper-AbCdEf"},
    region="us-east-1",
    log_group="/openai-gateway-staging/gateway",
    stop_timeout_s=120,
)


def test_the_definition_is_the_golden_one() -> None:
    """Any change of this file is a new revision and a rollout of every stack."""
    assert json.loads(container_definitions(CONTAINER)) == json.loads(GOLDEN.read_text())


def test_order_of_the_environment_does_not_matter() -> None:
    other_order = dict(sorted(CONTAINER.environment.items()))
    assert list(other_order) != list(CONTAINER.environment)
    assert container_definitions(replace(CONTAINER, environment=other_order)) == container_definitions(
        CONTAINER
    )


def test_the_text_is_compact_with_sorted_keys() -> None:
    text = container_definitions(CONTAINER)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_a_second_run_of_the_program_renders_every_document_the_same(either: StackGraph) -> None:
    """Policies, lifecycle rules, dashboard and containers are texts: one other byte is a change to deploy."""
    again = run_in_own_process(either.outputs["cluster_name"].rpartition("-")[2])
    texts = [
        {(r.urn, k): v for r in graph.resources for k, v in r.inputs.items() if is_document(v)}
        for graph in (either, again)
    ]
    assert len(texts[0]) >= 11
    assert texts[0] == texts[1]


def test_what_ecs_fills_in_is_sent_explicitly(either: StackGraph) -> None:
    [container] = json.loads(either.one("TaskDefinition").get("containerDefinitions"))
    assert {
        key: container[key] for key in ("cpu", "essential", "mountPoints", "systemControls", "volumesFrom")
    } == {
        "cpu": 0,
        "essential": True,
        "mountPoints": [],
        "systemControls": [],
        "volumesFrom": [],
    }
    assert container["portMappings"] == [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}]
    names = [entry["name"] for entry in container["environment"]]
    assert names == sorted(names)


def is_document(value: object) -> bool:
    return isinstance(value, str) and value[:1] in ("{", "[")
