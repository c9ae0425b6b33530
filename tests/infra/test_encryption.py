"""The key: one, rotated, used by the account's own roles and by CloudWatch Logs for the stack's groups."""

import json

from tests.infra.graph import ACCOUNT, StackGraph


def test_logs_may_use_the_key_for_exactly_the_stacks_log_groups(production: StackGraph) -> None:
    policy = json.loads(production.one("Key").get("policy"))
    [statement] = [s for s in policy["Statement"] if s["Sid"] == "LogsOfThisStack"]
    assert statement["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    contexts = statement["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    assert sorted(contexts) == sorted(g.get("arn") for g in production.all("LogGroup"))


def test_the_account_and_nobody_else_manages_the_key(either: StackGraph) -> None:
    policy = json.loads(either.one("Key").get("policy"))
    managing = [s for s in policy["Statement"] if s["Action"] == "kms:*"]
    assert [s["Principal"] for s in managing] == [{"AWS": f"arn:aws:iam::{ACCOUNT}:root"}]
    assert len(policy["Statement"]) == 4


def test_who_publishes_alerts_may_use_the_topics_key_for_this_account_only(either: StackGraph) -> None:
    policy = json.loads(either.one("Key").get("policy"))
    [statement] = [s for s in policy["Statement"] if s["Sid"] == "AlertsOfThisAccount"]
    assert statement["Principal"]["Service"] == ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_key_has_a_name(either: StackGraph) -> None:
    alias = either.one("Alias")
    assert alias.get("name").startswith("alias/openai-gateway-")
    assert alias.get("targetKeyId") == either.one("Key").get("keyId")


def test_a_deleted_production_key_can_be_brought_back_for_a_month(
    staging: StackGraph, production: StackGraph
) -> None:
    assert production.one("Key").get("deletionWindowInDays") == 30
    assert staging.one("Key").get("deletionWindowInDays") == 7
