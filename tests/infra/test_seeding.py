"""The first `up` seeds by a resource hook; what the hook is given is enough to do it."""

import asyncio
from typing import Any

import pulumi
import pytest

import infra.seeding
from infra.seed import SecretArns
from infra.seeding import seed_after_create

ARNS = SecretArns("openai-arn", "pepper-arn", "owner-arn", "cache-arn")


class Known:
    """An output whose value is known, or not yet."""

    def __init__(self, value: SecretArns | None) -> None:
        self.value = value

    async def future(self) -> SecretArns | None:
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


def run_hook(monkeypatch: pytest.MonkeyPatch, known: SecretArns | None) -> None:
    registered: list[Any] = []

    class Hook:
        def __init__(self, name: str, callback: Any, opts: Any = None) -> None:
            registered.append((name, callback, opts))

    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    seed_after_create(Known(known), "us-east-1")  # type: ignore[arg-type]
    [(name, callback, opts)] = registered
    assert name == "seed-secrets"
    assert opts is None, "a hook with options might run during a preview"
    args = pulumi.ResourceHookArgs("urn", "the-user", "cache-gateway", "aws:elasticache/user:User")
    asyncio.run(callback(args))


def test_the_hook_seeds_the_user_that_was_made(seeded: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    run_hook(monkeypatch, ARNS)
    assert seeded == [("session in us-east-1", ARNS, "the-user")]


def test_a_key_in_the_environment_becomes_the_first_openai_key(
    seeded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    run_hook(monkeypatch, ARNS)
    assert seeded[1:] == [("session in us-east-1", "openai-arn", "sk-first")]


def test_an_openai_key_that_is_there_is_not_replaced(
    seeded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-second")
    monkeypatch.setattr(infra.seeding, "has_value", lambda *_: True)
    run_hook(monkeypatch, ARNS)
    assert len(seeded) == 1


def test_a_user_made_before_the_secrets_is_an_error(
    seeded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="must depend on them"):
        run_hook(monkeypatch, None)
    assert seeded == []
