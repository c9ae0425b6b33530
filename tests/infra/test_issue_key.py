"""A deployed stack's first key is made by one command."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from app import keys
from infra import issue_key
from tests.table import create_table

PEPPER = "a-pepper-of-at-least-forty-three-characters"


@pytest.fixture
def outputs() -> Iterator[dict[str, str]]:
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        create_table(session.client("dynamodb"), "gateway")
        secret = session.client("secretsmanager").create_secret(Name="pepper", SecretString=PEPPER)
        yield {"region": "us-east-1", "table_name": "gateway", "pepper_secret_arn": secret["ARN"]}


def test_the_printed_key_is_known_by_its_hash_only(
    outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(issue_key, "stack_outputs", lambda _: outputs)
    given = ["--stack", "staging", "--project", "web", "--requests-per-minute", "7"]
    assert issue_key.main(given) == 0
    key = capsys.readouterr().out.strip()
    items = boto3.client("dynamodb", "us-east-1").scan(TableName="gateway")["Items"]
    assert key not in str(items)
    address = keys.key_address(keys.hash_key(PEPPER, key))
    [item] = [item for item in items if item["pk"] == address["pk"]]
    record = keys.parse_key_item(item)
    assert (record.project_id, record.limits.requests_per_minute, record.status) == ("proj_web", 7, "active")


def test_a_second_key_of_a_project_keeps_the_project(outputs: dict[str, str]) -> None:
    session = boto3.Session(region_name="us-east-1")
    made = {issue_key.issue_key(session, outputs, project="web", name=name) for name in ("a", "b")}
    items = session.client("dynamodb").scan(TableName="gateway")["Items"]
    assert len(made) == 2
    assert sum(item["sk"]["S"] == "PROJECT" for item in items) == 1


def test_a_project_of_another_form_is_refused(
    outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(issue_key, "stack_outputs", lambda _: outputs)
    assert issue_key.main(["--stack", "staging", "--project", "Web Shop"]) == 1
    assert "project 'Web Shop': use up to 63 lower-case letters" in capsys.readouterr().err
