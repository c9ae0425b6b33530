"""`pulumi up` seeds by resource hooks; what a hook is given is enough to do it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import boto3
import pulumi
import pytest
from moto import mock_aws

import infra.seeding
from infra.seed import SecretArns, seed_generated
from infra.seeding import seed_before_tasks, seed_new_user
from local.aws.policy import AccessRequest, is_allowed
from tests.infra.graph import StackGraph

ARNS = SecretArns("openai-arn", "pepper-arn", "owner-arn", "cache-arn")


class Known:
    """An output whose value is known, or (None) not yet."""

    def __init__(self, value: Any) -> None:
        self.value = value

    async def future(self) -> Any:
        return self.value


@pytest.fixture
def seeded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was seeded, in order."""
    calls: list[Any] = []
    monkeypatch.setattr("infra.seeding.boto3.Session", lambda region_name: f"session in {region_name}")
    monkeypatch.setattr(infra.seeding, "seed_generated", lambda *given: calls.append(given))
    monkeypatch.setattr(infra.seeding, "seed_openai", lambda *given: calls.append(given))
    monkeypatch.setattr(infra.seeding, "has_value", lambda *_: False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return calls


@pytest.fixture(autouse=True)
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(pulumi, "warn", told.append)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "staging")
    return told


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Register hooks, then run them as the engine does."""
    registered: list[Any] = []

    class Hook:
        def __init__(self, name: str, callback: Any, opts: Any = None) -> None:
            assert opts is None, f"{name}: a hook with options might run during a preview"
            registered.append(callback)

    monkeypatch.setattr(pulumi, "ResourceHook", Hook)

    def run_hooks(make: Callable[..., Any], *given: Any) -> None:
        make(*given)
        [callback] = registered
        asyncio.run(callback(pulumi.ResourceHookArgs("urn", "id-of-the-resource", "name", "type")))

    return run_hooks


def test_a_new_user_is_seeded(seeded: list[Any], run: Callable[..., None]) -> None:
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert seeded == [("session in us-east-1", ARNS, "id-of-the-resource")]


def test_before_tasks_start_the_caches_user_is_seeded(seeded: list[Any], run: Callable[..., None]) -> None:
    run(seed_before_tasks, Known(ARNS), "us-east-1", Known("the-user"))
    assert seeded == [("session in us-east-1", ARNS, "the-user")]


class Watched:
    """A boto3 session on moto, its ElastiCache apart (moto lacks ModifyUser), that notes what it is asked."""

    def __init__(self, **_: str) -> None:
        self.client_of = boto3.session.Session(region_name="us-east-1").client

    asked: list[tuple[str, str]]

    def client(self, service: Any) -> Any:
        if service == "elasticache":
            cache = Mock()
            cache.describe_users.return_value = {"Users": [{"Status": "active"}]}
            return cache
        client = self.client_of(service)

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            self.asked.append((f"{service}:{model.name}", params.get("SecretId", "*")))

        client.meta.events.register("before-parameter-build", note)
        return client


@pytest.mark.parametrize("seeded_before", [False, True])
def test_a_deployer_may_do_all_that_seeding_before_tasks_does(
    seeded_before: bool,
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    production: StackGraph,
) -> None:
    """A workflow that makes the service anew has no former one to fall back on."""
    policy = json.loads(production.one("RolePolicy", "access-deployer").get("policy"))["Statement"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with mock_aws():
        vault = boto3.client("secretsmanager", region_name="us-east-1")
        names = ("openai", "pepper", "owner", "cache")
        made = {name: vault.create_secret(Name=name)["ARN"] for name in names}
        Watched.asked = []
        monkeypatch.setattr("infra.seeding.boto3.Session", Watched)
        if seeded_before:
            seed_generated(Watched(), SecretArns(**made), "the-user")  # type: ignore[arg-type]
            Watched.asked = []
        run(seed_before_tasks, Known(SecretArns(**made)), "us-east-1", Known("the-user"))
    real = {made[name]: production.one("Secret", f"vault-{name}").get("arn") for name in names}
    assert Watched.asked
    for action, resource in [
        *Watched.asked,
        ("elasticache:DescribeUsers", "*"),
        ("elasticache:ModifyUser", "*"),
    ]:
        request = AccessRequest(action, real.get(resource, resource), {"aws:RequestedRegion": "us-east-1"})
        assert is_allowed(policy, request), request


def test_a_key_in_the_environment_becomes_the_first_openai_key(
    seeded: list[Any], run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first\n")
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert seeded[1:] == [("session in us-east-1", "openai-arn", "sk-first")]


def test_a_stack_without_an_openai_key_is_told_how_to_get_one(
    seeded: list[Any], run: Callable[..., None], warnings: list[str]
) -> None:
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert len(seeded) == 1
    [warning] = warnings
    assert "python -m infra.seed --stack staging" in warning


def test_an_openai_key_that_is_there_is_not_replaced(
    seeded: list[Any], run: Callable[..., None], warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-second")
    monkeypatch.setattr(infra.seeding, "has_value", lambda *_: True)
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert len(seeded) == 1
    assert warnings == []


@pytest.mark.parametrize(("arns", "user"), [(None, "the-user"), (ARNS, None)])
def test_seeding_what_is_not_made_yet_is_an_error(
    arns: SecretArns | None, user: str | None, seeded: list[Any], run: Callable[..., None]
) -> None:
    with pytest.raises(RuntimeError, match="lacks a dependency"):
        run(seed_before_tasks, Known(arns), "us-east-1", Known(user))
    assert seeded == []
