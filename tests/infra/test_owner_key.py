"""The first owner's key is printed, rotated and reopened by one command; the table has its hash only."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from app.admin.bootstrap import bootstrap_address, closing
from app.admin.issue import DEFAULT_ORGANIZATION_ID, read, write
from app.admin.layout import admin_key_address, organization_address
from app.keys import ADMIN_KEY_PREFIX, hash_key, random_key
from infra import owner_key
from infra.seed import admit_owner
from tests.table import create_table

PEPPER = "a-pepper-of-at-least-forty-three-characters"


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        create_table(session.client("dynamodb"), "gateway")
        vault = session.client("secretsmanager")
        known = {
            "region": "us-east-1",
            "table_name": "gateway",
            "pepper_secret_arn": vault.create_secret(Name="pepper", SecretString=PEPPER)["ARN"],
            "owner_secret_arn": vault.create_secret(Name="owner", SecretString=random_key(ADMIN_KEY_PREFIX))[
                "ARN"
            ],
        }
        monkeypatch.setattr(owner_key, "stack_outputs", lambda _: known)
        yield known


def printed(capsys: pytest.CaptureFixture[str], what: str) -> str:
    assert owner_key.main([what, "--stack", "staging"]) == 0
    return capsys.readouterr().out.strip()


def admitted(key: str) -> bool:
    client = boto3.client("dynamodb", "us-east-1")
    return read(client, "gateway", admin_key_address(hash_key(PEPPER, key))) is not None


def test_the_key_is_shown_and_let_in(outputs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    key = printed(capsys, "show")
    assert key.startswith(ADMIN_KEY_PREFIX)
    assert admitted(key)
    assert key not in repr(boto3.client("dynamodb", "us-east-1").scan(TableName=outputs["table_name"]))


def test_the_key_is_printed_once(outputs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    key = printed(capsys, "show")
    assert owner_key.main(["show", "--stack", "staging"]) == 1
    told = capsys.readouterr()
    assert (told.out, key in told.err) == ("", False)
    assert "rotate --stack" in told.err
    session = boto3.Session(region_name="us-east-1")
    assert owner_key.owner_key(session, outputs, "show") == key, "commands use it all the same"
    assert printed(capsys, "rotate") != key
    assert owner_key.main(["show", "--stack", "staging"]) == 1


def test_seeding_again_does_not_let_it_be_printed_again(
    outputs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, "show")
    admit_owner(
        boto3.Session(region_name="us-east-1"),
        pepper_arn=outputs["pepper_secret_arn"],
        owner_arn=outputs["owner_secret_arn"],
        table_name=outputs["table_name"],
    )
    assert owner_key.main(["show", "--stack", "staging"]) == 1


def test_a_rotation_lets_the_new_key_in_and_the_former_out(
    outputs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    former = printed(capsys, "show")
    new = printed(capsys, "rotate")
    assert new != former
    assert (admitted(new), admitted(former)) == (True, False)
    vault = boto3.client("secretsmanager", "us-east-1")
    assert vault.get_secret_value(SecretId=outputs["owner_secret_arn"])["SecretString"] == new


@pytest.mark.usefixtures("outputs")
def test_when_an_owner_has_taken_over_only_reopening_lets_a_key_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    former = printed(capsys, "show")
    client = boto3.client("dynamodb", "us-east-1")
    organization = read(client, "gateway", organization_address(DEFAULT_ORGANIZATION_ID))
    assert organization is not None
    address = bootstrap_address(organization)
    assert address is not None
    write(client, "gateway", closing(organization, read(client, "gateway", address)))
    for what in ("show", "rotate"):
        assert owner_key.main([what, "--stack", "staging"]) == 1
        assert "an owner has taken over" in capsys.readouterr().err
    new = printed(capsys, "reopen")
    assert new != former
    assert admitted(new)


@pytest.mark.usefixtures("outputs")
def test_a_key_that_was_deleted_is_not_shown_as_if_it_let_somebody_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    former = printed(capsys, "show")
    client = boto3.client("dynamodb", "us-east-1")
    client.delete_item(TableName="gateway", Key=admin_key_address(hash_key(PEPPER, former)).key())
    assert owner_key.main(["show", "--stack", "staging"]) == 1
    told = capsys.readouterr()
    assert (told.out, "the key was deleted" in told.err, former in told.err) == ("", True, False)
    new = printed(capsys, "rotate")
    assert admitted(new)
