"""Alerts reach the owner, encrypted, and only AWS's own services and the gateway can send any."""

import json

from tests.infra.graph import ACCOUNT, StackGraph, stack_graph


def test_the_owner_is_subscribed(either: StackGraph) -> None:
    subscription = either.one("TopicSubscription")
    assert subscription.get("topic") == either.one("Topic").get("arn") == either.outputs["alert_topic_arn"]
    assert (subscription.get("protocol"), subscription.get("endpoint")) == ("email", "platform@example.com")


def test_another_owner_is_told_instead() -> None:
    graph = stack_graph("staging", owner="on-call@example.org")
    assert graph.one("TopicSubscription").get("endpoint") == "on-call@example.org"


def test_messages_are_encrypted_with_the_stacks_key(either: StackGraph) -> None:
    assert either.one("Topic").get("kmsMasterKeyId") == either.one("Key").get("arn")


def test_only_alarms_and_the_budget_of_this_account_publish_and_only_over_tls(either: StackGraph) -> None:
    attached = either.one("TopicPolicy")
    assert attached.get("arn") == either.one("Topic").get("arn")
    allowed, denied = json.loads(attached.get("policy"))["Statement"]
    assert allowed["Effect"] == "Allow"
    assert allowed["Principal"] == {"Service": ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allowed["Resource"] == denied["Resource"] == attached.get("arn")
