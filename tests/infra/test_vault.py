"""Secrets are made without values, under names that can be made again."""

from tests.infra.graph import StackGraph


def test_there_are_four_secrets_and_no_value(either: StackGraph) -> None:
    assert {s.name for s in either.all("Secret")} == {
        f"vault-{name}" for name in ("openai", "pepper", "owner", "cache")
    }
    assert [r for r in either.resources if "secretVersion" in r.type] == []


def test_names_are_left_to_pulumi_so_that_a_deleted_secret_does_not_block_its_successor(
    either: StackGraph,
) -> None:
    assert all("name" not in s.inputs for s in either.all("Secret"))


def test_the_recovery_window_is_the_configured_one(staging: StackGraph, production: StackGraph) -> None:
    assert {s.get("recoveryWindowInDays") for s in staging.all("Secret")} == {0}
    assert {s.get("recoveryWindowInDays") for s in production.all("Secret")} == {30}


def test_the_outputs_name_every_secret(either: StackGraph) -> None:
    for name in ("openai", "pepper", "owner", "cache"):
        assert either.outputs[f"{name}_secret_arn"] == either.one("Secret", f"vault-{name}").get("arn")
