"""Log groups: known by name, kept as long as the config says."""

from infra.logs import LogNames
from tests.infra.graph import StackGraph


def test_log_groups_are_kept_as_long_as_configured(staging: StackGraph, production: StackGraph) -> None:
    assert {g.get("retentionInDays") for g in staging.all("LogGroup")} == {30}
    assert {g.get("retentionInDays") for g in production.all("LogGroup")} == {365}


def test_every_group_has_a_name_that_the_key_admits(production: StackGraph) -> None:
    assert {g.get("name") for g in production.all("LogGroup")} == set(
        LogNames.of("openai-gateway-prod").all()
    )


def test_the_container_writes_to_the_gateways_group(either: StackGraph) -> None:
    group = either.one("LogGroup", "logs-gateway")
    assert either.outputs["log_group_name"] == group.get("name")
    assert f'"awslogs-group":"{group.get("name")}"' in either.one("TaskDefinition").get(
        "containerDefinitions"
    )
