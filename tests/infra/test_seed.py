"""Seeding gives each secret one value, once, and the cache's user the password that its secret holds."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

import infra.seed
from app.admin.issue import read
from app.admin.layout import admin_key_address
from app.keys import ADMIN_KEY_PREFIX, KEY_PREFIX, hash_key, random_key
from app.secret_values import parse_deployments
from infra.seed import SecretArns, SeedError, has_value, main, seed_generated, seed_openai
from tests.table import create_table

REGION = "us-east-1"
USER = "openai-gateway-staging-gateway"
NAMES = ("openai", "pepper", "owner", "cache")


class Cache:
    """ElastiCache's users as far as seeding sees them. statuses: what each look at the user finds."""

    def __init__(self, *statuses: str) -> None:
        self.passwords: list[str] = []
        self.statuses = list(statuses)
        self.fail = False

    def describe_users(self, UserId: str) -> dict[str, Any]:  # noqa: N803
        assert UserId == USER
        return {"Users": [{"Status": self.statuses.pop(0) if self.statuses else "active"}]}

    def modify_user(self, UserId: str, Passwords: list[str]) -> None:  # noqa: N803
        assert UserId == USER
        if self.fail:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "ModifyUser")
        self.passwords = Passwords


class Session:
    """A boto3 session on moto, whose ElastiCache is the one above: moto lacks ModifyUser."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._session = boto3.Session(region_name=REGION)

    def client(self, name: str) -> Any:
        return self.cache if name == "elasticache" else self._session.client(name)  # type: ignore[call-overload]


@pytest.fixture
def cache() -> Cache:
    return Cache()


@pytest.fixture
def session(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with mock_aws():
        yield Session(cache)


@pytest.fixture
def arns(session: Any) -> SecretArns:
    vault = session.client("secretsmanager")
    return SecretArns(**{name: vault.create_secret(Name=f"vault-{name}")["ARN"] for name in NAMES})


def value(session: Any, arn: str) -> str:
    return str(session.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def test_pepper_owner_and_cache_get_values_and_the_openai_key_does_not(
    session: Any, arns: SecretArns
) -> None:
    assert seed_generated(session, arns, USER) == ["pepper", "owner", "cache"]
    assert len(value(session, arns.pepper)) >= 43
    assert value(session, arns.owner).startswith("sk-admin-")
    assert not has_value(session, arns.openai)


def test_the_caches_user_gets_the_password_of_its_secret(
    session: Any, arns: SecretArns, cache: Cache
) -> None:
    seed_generated(session, arns, USER)
    credentials = json.loads(value(session, arns.cache))
    assert credentials["username"] == "gateway"
    assert cache.passwords == [credentials["password"]]
    assert 16 <= len(credentials["password"]) <= 128


def test_a_second_run_changes_nothing(session: Any, arns: SecretArns, cache: Cache) -> None:
    seed_generated(session, arns, USER)
    before = [value(session, arn) for arn in (arns.pepper, arns.owner, arns.cache)]
    password = cache.passwords
    assert seed_generated(session, arns, USER) == []
    assert [value(session, arn) for arn in (arns.pepper, arns.owner, arns.cache)] == before
    assert cache.passwords == password


def test_only_what_is_missing_is_generated(session: Any, arns: SecretArns) -> None:
    session.client("secretsmanager").put_secret_value(SecretId=arns.pepper, SecretString="kept")
    assert seed_generated(session, arns, USER) == ["owner", "cache"]
    assert value(session, arns.pepper) == "kept"


def test_a_run_cut_before_the_user_got_its_password_is_mended_by_the_next(
    session: Any, arns: SecretArns, cache: Cache
) -> None:
    cache.fail = True
    with pytest.raises(ClientError):
        seed_generated(session, arns, USER)
    password = json.loads(value(session, arns.cache))["password"]
    cache.fail = False
    assert seed_generated(session, arns, USER) == []
    assert cache.passwords == [password]


def test_of_two_that_seed_at_once_the_second_keeps_what_the_first_wrote(
    session: Any, arns: SecretArns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked and found nothing; Secrets Manager then refuses the second content of one token."""
    seed_generated(session, arns, USER)
    before = value(session, arns.pepper)
    monkeypatch.setattr(infra.seed, "_has_value", lambda *_: False)
    assert seed_generated(session, arns, USER) == []
    assert value(session, arns.pepper) == before


def test_it_waits_until_the_user_is_active_again(
    session: Any, arns: SecretArns, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("infra.seed.time.sleep", pauses.append)
    cache.statuses = ["active", "modifying", "modifying", "active"]
    seed_generated(session, arns, USER)
    assert len(pauses) == 2


def test_a_user_that_never_becomes_active_is_an_error_that_says_what_to_do(
    session: Any, arns: SecretArns, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.statuses = ["deleting"]
    monkeypatch.setattr(infra.seed, "USER_READY_S", -1)
    with pytest.raises(SeedError, match=r"is still deleting .* python -m infra.seed"):
        seed_generated(session, arns, USER)


def test_the_openai_key_is_replaced_each_time(session: Any, arns: SecretArns) -> None:
    seed_openai(session, arns.openai, "sk-one")
    seed_openai(session, arns.openai, "sk-two")
    assert value(session, arns.openai) == "sk-two"


def test_a_list_of_deployments_takes_the_keys_place(session: Any, arns: SecretArns) -> None:
    seed_openai(session, arns.openai, '[ {"key": "sk-one"},\n {"key": "sk-two", "weight": 3} ]')
    stored = value(session, arns.openai)
    assert json.loads(stored) == [{"key": "sk-one"}, {"key": "sk-two", "weight": 3}]
    assert [one.key for one in parse_deployments(stored)] == ["sk-one", "sk-two"]


@pytest.mark.parametrize("key", ["[]", "[sk-one]", '["sk-one"]', '[{"weight": 1}]', '[{"key": "sk one"}]'])
def test_a_list_that_is_none_of_deployments_is_refused_without_showing_it(
    key: str, session: Any, arns: SecretArns
) -> None:
    with pytest.raises(SeedError) as caught:
        seed_openai(session, arns.openai, key)
    assert "sk-one" not in str(caught.value)
    assert "sk one" not in str(caught.value)


@pytest.mark.parametrize("key", ["", " ", "sk-one\n", "sk one"])
def test_a_key_that_was_copied_badly_is_refused_without_showing_it(
    key: str, session: Any, arns: SecretArns
) -> None:
    with pytest.raises(SeedError) as caught:
        seed_openai(session, arns.openai, key)
    assert not key.strip() or key.strip() not in str(caught.value)
    assert not has_value(session, arns.openai)


@pytest.mark.parametrize("own", [random_key(KEY_PREFIX), random_key(ADMIN_KEY_PREFIX)])
def test_a_key_of_the_gateway_is_refused_without_showing_it(own: str, session: Any, arns: SecretArns) -> None:
    for given in (own, json.dumps([{"key": "sk-one"}, {"key": own}])):
        with pytest.raises(SeedError, match="a key of the gateway, not OpenAI's") as caught:
            seed_openai(session, arns.openai, given)
        assert own not in str(caught.value)
    assert not has_value(session, arns.openai)


@pytest.fixture
def deployed(session: Any, arns: SecretArns, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """`pulumi stack output` of a deployed stack."""
    outputs = {f"{name}_secret_arn": getattr(arns, name) for name in NAMES}
    outputs |= {"cache_user_id": USER, "region": REGION, "table_name": "gateway"}
    create_table(session.client("dynamodb"), "gateway")
    run = Mock(return_value=subprocess.CompletedProcess([], 0, json.dumps(outputs), ""))
    monkeypatch.setattr("infra.seed.subprocess.run", run)
    monkeypatch.setattr("infra.seed.boto3.Session", lambda **_: session)
    monkeypatch.setattr("infra.seed.sys.stdin", Mock(isatty=lambda: False))
    return run


def test_the_command_seeds_a_deployed_stack(
    deployed: Mock,
    session: Any,
    arns: SecretArns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    assert main(["--stack", "staging"]) == 0
    assert value(session, arns.openai) == "sk-from-the-environment"
    assert deployed.call_args.args[0] == ["pulumi", "stack", "output", "--json", "--stack", "staging"]
    told = capsys.readouterr()
    assert told.out == (
        "generated: pepper, owner, cache\nowner's key: lets the first owner in\nopenai: set\n"
    )
    address = admin_key_address(hash_key(value(session, arns.pepper), value(session, arns.owner)))
    assert read(session.client("dynamodb"), "gateway", address) is not None
    for arn in (arns.openai, arns.pepper, arns.owner):
        assert value(session, arn) not in told.out + told.err


@pytest.mark.usefixtures("deployed")
def test_the_command_asks_in_a_terminal_and_keeps_the_key_when_nothing_is_typed(
    session: Any, arns: SecretArns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.seed.sys.stdin", Mock(isatty=lambda: True))
    typed = iter(["sk-typed", ""])
    monkeypatch.setattr("infra.seed.getpass.getpass", lambda _: next(typed))
    assert main(["--stack", "staging"]) == main(["--stack", "staging"]) == 0
    assert value(session, arns.openai) == "sk-typed"


@pytest.mark.usefixtures("deployed")
def test_without_a_key_and_a_terminal_the_command_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--stack", "staging"]) == 1
    assert "set OPENAI_API_KEY, or run this in a terminal" in capsys.readouterr().err


@pytest.mark.usefixtures("deployed")
def test_typing_no_first_key_is_refused(
    session: Any, arns: SecretArns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infra.seed.sys.stdin", Mock(isatty=lambda: True))
    monkeypatch.setattr("infra.seed.getpass.getpass", lambda _: "")
    assert main(["--stack", "staging"]) == 1
    assert "the OpenAI key is empty" in capsys.readouterr().err
    assert not has_value(session, arns.openai)


def test_a_stack_that_is_not_deployed_is_said(deployed: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.return_value = subprocess.CompletedProcess([], 0, "{}", "")
    assert main(["--stack", "staging"]) == 1
    assert "run: pulumi up --stack staging" in capsys.readouterr().err


def test_what_pulumi_says_is_passed_on(deployed: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.return_value = subprocess.CompletedProcess([], 255, "", "error: no stack named 'x' found\n")
    assert main(["--stack", "x"]) == 1
    assert "no stack named 'x' found" in capsys.readouterr().err


def test_a_missing_pulumi_is_said(deployed: Mock, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.side_effect = FileNotFoundError
    assert main(["--stack", "staging"]) == 1
    assert "install the Pulumi CLI" in capsys.readouterr().err


def test_the_key_is_no_argument() -> None:
    with pytest.raises(SystemExit):
        main(["--stack", "staging", "--openai-key", "sk-x"])
