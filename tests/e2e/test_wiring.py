"""What the demo used is what local AWS, asked over boto3, says was deployed."""

from typing import Any

import openai

from local.demo.evidence import Evidence


def test_the_targets_of_the_load_balancer_are_the_running_tasks(
    stack: dict[str, Any], evidence: Evidence
) -> None:
    running = {f"127.0.0.1:{task['port']}" for task in stack["tasks"]}
    assert running
    assert {(target.address, target.state) for target in evidence.targets()} == {
        (a, "healthy") for a in running
    }


def test_a_task_gets_secrets_by_reference_only(evidence: Evidence) -> None:
    values = [
        evidence.secret_value(secret["ARN"])
        for secret in evidence.aws.call("secretsmanager", "list_secrets")["SecretList"]
    ]
    assert len(values) == 4
    text = str(evidence.task_definition)
    assert not any(value in text for value in values)
    assert [entry["name"] for entry in evidence.container["secrets"]] == ["GATEWAY_KEY_PEPPER"]
    assert evidence.container["secrets"][0]["valueFrom"].startswith("arn:aws:secretsmanager:")
    for variable in ("GATEWAY_OPENAI_SECRET_ARN", "GATEWAY_CACHE_SECRET_ARN"):
        assert evidence.environment[variable].startswith("arn:aws:secretsmanager:")


def test_the_cache_in_the_tasks_environment_is_the_deployed_replication_group(evidence: Evidence) -> None:
    group = evidence.aws.call("elasticache", "describe_replication_groups")["ReplicationGroups"][0]
    endpoint = group["NodeGroups"][0]["PrimaryEndpoint"]
    address = f"rediss://{endpoint['Address']}:{endpoint['Port']}"
    assert evidence.environment["GATEWAY_CACHE_URL"] == address
    assert group["TransitEncryptionEnabled"]
    assert group["AtRestEncryptionEnabled"]


def test_the_table_holds_the_hash_of_a_key_and_never_the_key(
    stack: dict[str, Any], evidence: Evidence
) -> None:
    table = evidence.environment["GATEWAY_TABLE_NAME"]
    items = evidence.aws.call("dynamodb", "scan", TableName=table)["Items"]
    assert any(item["pk"]["S"].startswith("KEY#") for item in items)
    assert stack["api_key"] not in str(items)


def test_what_a_task_logs_of_a_request_is_in_the_deployed_log_group(
    evidence: Evidence, client: openai.OpenAI
) -> None:
    secret_text = "the content of a prompt is nobody's business"
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": secret_text}]
    )
    _, line = evidence.log_line(raw.headers["x-request-id"])
    assert (line["status"], line["model"], line["cache"]) == (200, "gpt-4o-mini", "bypass")
    assert line["prompt_tokens"] > 0
    assert secret_text not in str(line)
    assert client.api_key not in str(line)


def test_the_models_of_the_upstream_are_listed(client: openai.OpenAI) -> None:
    assert "gpt-4o-mini" in {model.id for model in client.models.list()}
