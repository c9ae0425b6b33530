"""A secret's own policy names who reads it."""

import json
from typing import Any

import pytest

from tests.infra.graph import ACCOUNT, StackGraph


def statements(graph: StackGraph, secret: str) -> dict[str, Any]:
    policy = graph.one("SecretPolicy", f"secret-access-{secret}")
    assert policy.get("secretArn") == graph.one("Secret", f"vault-{secret}").get("arn")
    return {s["Sid"]: s for s in json.loads(policy.get("policy"))["Statement"]}


def test_the_openai_key_is_denied_to_everybody_but_the_gateway(either: StackGraph) -> None:
    denial = statements(either, "openai")["ReadByItsRolesOnly"]
    assert (denial["Effect"], denial["Principal"]) == ("Deny", "*")
    assert denial["Action"] == "secretsmanager:GetSecretValue"
    assert denial["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": [either.one("Role", "task").get("arn")]}
    }


@pytest.mark.parametrize("secret", ["openai", "pepper", "owner", "cache"])
def test_no_secret_leaves_the_account(either: StackGraph, secret: str) -> None:
    denial = statements(either, secret)["ThisAccountOnly"]
    assert denial["Condition"] == {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}


@pytest.mark.parametrize("secret", ["pepper", "owner", "cache"])
def test_a_person_whom_iam_allows_reads_what_people_work_with(either: StackGraph, secret: str) -> None:
    assert set(statements(either, secret)) == {"ThisAccountOnly"}
