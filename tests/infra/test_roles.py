"""What a task may do, action by action, and on which of the stack's resources."""

import json
from typing import Any

from local.aws.policy import AccessRequest, is_allowed
from tests.infra.graph import StackGraph


def grants(graph: StackGraph, role: str) -> dict[str, set[str]]:
    """Action -> resources, of all statements of a role's policy."""
    granted: dict[str, set[str]] = {}
    for statement in json.loads(graph.one("RolePolicy", role).get("policy"))["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            granted.setdefault(action, set()).update(statement["Resource"])
    return granted


def arn(graph: StackGraph, kind: str, name: str) -> Any:
    return graph.one(kind, name).get("arn")


def test_the_gateway_reads_the_secrets_that_rotate_and_no_other(either: StackGraph) -> None:
    assert grants(either, "task")["secretsmanager:GetSecretValue"] == {
        arn(either, "Secret", "vault-openai"),
        arn(either, "Secret", "vault-cache"),
    }


def test_ecs_reads_the_pepper_and_no_other_secret(either: StackGraph) -> None:
    assert grants(either, "execution")["secretsmanager:GetSecretValue"] == {
        arn(either, "Secret", "vault-pepper")
    }


def test_nobody_but_people_reads_the_owners_key(either: StackGraph) -> None:
    read = AccessRequest(
        "secretsmanager:GetSecretValue",
        arn(either, "Secret", "vault-owner"),
        {"aws:RequestedRegion": "us-east-1"},
    )
    for policy in either.all("RolePolicy"):
        statements = json.loads(policy.get("policy"))["Statement"]
        assert not is_allowed(statements, read), policy
        allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
        assert read.resource not in json.dumps(allowed), policy


def test_the_gateway_works_on_its_table_and_records(either: StackGraph) -> None:
    granted = grants(either, "task")
    table, bucket = arn(either, "Table", "gateway"), arn(either, "Bucket", "data")
    for action, resources in granted.items():
        if action.startswith("dynamodb:"):
            assert resources == {table, f"{table}/index/gsi1"}
    assert granted["s3:PutObject"] == granted["s3:GetObject"] == {f"{bucket}/records/*"}
    assert "dynamodb:Scan" not in granted
    assert "dynamodb:DeleteTable" not in granted


def test_the_gateway_may_publish_to_the_alert_topic_only(either: StackGraph) -> None:
    assert grants(either, "task")["sns:Publish"] == {arn(either, "Topic", "alerts")}
    assert [action for action in grants(either, "task") if action.startswith("sns:")] == ["sns:Publish"]


def test_the_gateway_reads_the_queue_of_new_knowledge_only(either: StackGraph) -> None:
    actions = {action for action in grants(either, "task") if action.startswith("sqs:")}
    assert actions == {"sqs:DeleteMessage", "sqs:ReceiveMessage"}
    for action in actions:
        assert grants(either, "task")[action] == {arn(either, "Queue", "knowledge")}


def test_the_gateway_uses_the_stacks_key_only(either: StackGraph) -> None:
    key = {arn(either, "Key", "encryption")}
    assert grants(either, "task")["kms:Decrypt"] == grants(either, "task")["kms:GenerateDataKey"] == key
    assert grants(either, "execution")["kms:Decrypt"] == key


def test_ecs_pulls_from_the_stacks_repository_and_writes_to_its_log_group(either: StackGraph) -> None:
    granted = grants(either, "execution")
    assert granted["ecr:BatchGetImage"] == {arn(either, "Repository", "registry")}
    assert granted["logs:PutLogEvents"] == {arn(either, "LogGroup", "logs-gateway") + ":*"}
    assert granted["ecr:GetAuthorizationToken"] == {"*"}


def test_roles_are_taken_by_ecs_for_this_account(either: StackGraph) -> None:
    for name in ("execution", "task"):
        [statement] = json.loads(either.one("Role", name).get("assumeRolePolicy"))["Statement"]
        assert statement["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_the_task_definition_has_each_role_in_its_place(either: StackGraph) -> None:
    task = either.one("TaskDefinition")
    assert task.get("executionRoleArn") == arn(either, "Role", "execution")
    assert task.get("taskRoleArn") == arn(either, "Role", "task")
