"""The cache's password rotates with two passwords at a time: no moment refuses a task."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import infra.rotate
from infra.rotate import add_password, drop_former_password, main, rotate_cache
from infra.seed import SeedError

REGION = "us-east-1"
USER = "openai-gateway-staging-gateway"
FORMER = "former-password-of-the-cache"


class Cache:
    """ElastiCache's user: its passwords, and all it ever had at one time."""

    def __init__(self) -> None:
        self.passwords = [FORMER]
        self.history: list[list[str]] = []
        self.fail = False

    def describe_users(self, UserId: str) -> dict[str, Any]:  # noqa: N803
        assert UserId == USER
        return {"Users": [{"Status": "active"}]}

    def modify_user(self, UserId: str, Passwords: list[str]) -> None:  # noqa: N803
        assert UserId == USER
        assert 1 <= len(Passwords) <= 2
        if self.fail:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "ModifyUser")
        self.passwords = Passwords
        self.history.append(Passwords)


class Session:
    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._session = boto3.Session(region_name=REGION)

    def client(self, name: str) -> Any:
        return self.cache if name == "elasticache" else self._session.client(name)  # type: ignore[call-overload]


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with mock_aws():
        yield Session(Cache())


@pytest.fixture
def arn(session: Any) -> str:
    content = json.dumps({"username": "gateway", "password": FORMER})
    return str(session.client("secretsmanager").create_secret(Name="cache", SecretString=content)["ARN"])


def told(session: Any, arn: str) -> str:
    """The password that a task reads."""
    found = json.loads(session.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    assert found["username"] == "gateway"
    return str(found["password"])


def test_while_tasks_read_the_new_password_both_are_taken(session: Any, arn: str) -> None:
    during: list[tuple[str, list[str]]] = []
    rotate_cache(
        session, arn, USER, 120, sleep=lambda _: during.append((told(session, arn), session.cache.passwords))
    )
    [(password, taken)] = during
    assert password != FORMER
    assert taken == [FORMER, password]
    assert session.cache.passwords == [password] == [told(session, arn)]


def test_the_secret_never_holds_a_password_that_the_cache_does_not_take(session: Any, arn: str) -> None:
    session.cache.fail = True
    with pytest.raises(ClientError):
        add_password(session, arn, USER)
    assert told(session, arn) == FORMER


def test_a_rotation_that_was_cut_short_is_mended_by_the_next(session: Any, arn: str) -> None:
    add_password(session, arn, USER)
    first = told(session, arn)
    rotate_cache(session, arn, USER, 0, sleep=lambda _: None)
    assert session.cache.history[1][0] == first, "the password in use was dropped before tasks had another"
    assert session.cache.passwords == [told(session, arn)]


def test_dropping_twice_changes_nothing(session: Any, arn: str) -> None:
    for _ in range(2):
        drop_former_password(session, arn, USER)
        assert session.cache.passwords == [FORMER]


def test_a_cache_that_was_never_seeded_says_what_to_run(session: Any) -> None:
    empty = session.client("secretsmanager").create_secret(Name="empty")["ARN"]
    with pytest.raises(SeedError, match=r"python -m infra\.seed"):
        add_password(session, empty, USER)


@pytest.fixture
def deployed(session: Any, arn: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    openai = session.client("secretsmanager").create_secret(Name="openai", SecretString="sk-former")["ARN"]
    outputs = {"region": REGION, "cache_secret_arn": arn, "cache_user_id": USER, "openai_secret_arn": openai}
    monkeypatch.setattr(infra.rotate, "stack_outputs", lambda _: outputs)
    monkeypatch.setattr("infra.rotate.boto3.Session", lambda **_: session)
    return outputs


def test_the_command_rotates_and_prints_no_password(
    deployed: dict[str, str], session: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "--stack", "staging", "--settle-s", "0"]) == 0
    said = capsys.readouterr()
    assert "cache: rotated" in said.out
    assert told(session, deployed["cache_secret_arn"]) not in said.out + said.err


def test_the_openai_key_comes_from_the_environment(
    deployed: dict[str, str],
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-new")
    assert main(["openai", "--stack", "staging"]) == 0
    vault = session.client("secretsmanager")
    assert vault.get_secret_value(SecretId=deployed["openai_secret_arn"])["SecretString"] == "sk-new"
    assert "sk-new" not in capsys.readouterr().out
