"""`pulumi up` seeds by resource hooks; what a hook is given is enough to do it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

import infra.seeding
from infra.seed import SecretArns
from infra.seeding import seed_before_tasks, seed_new_user

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
    monkeypatch.setattr(infra.seeding, "admit_owner", lambda *given, **named: calls.append((*given, named)))
    monkeypatch.setattr(infra.seeding, "has_value", lambda *_: False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return calls


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


def test_before_tasks_start_the_caches_user_is_seeded_and_the_owners_key_let_in(
    seeded: list[Any], run: Callable[..., None]
) -> None:
    run(seed_before_tasks, Known(ARNS), "us-east-1", Known("the-user"), Known("the-table"))
    let_in = {"pepper_arn": "pepper-arn", "owner_arn": "owner-arn", "table_name": "the-table"}
    assert seeded == [("session in us-east-1", ARNS, "the-user"), ("session in us-east-1", let_in)]


def test_the_owners_key_waits_for_the_table(seeded: list[Any], run: Callable[..., None]) -> None:
    with pytest.raises(RuntimeError, match="lacks a dependency"):
        run(seed_before_tasks, Known(ARNS), "us-east-1", Known("the-user"), Known(None))
    assert len(seeded) == 1


def test_a_key_in_the_environment_becomes_the_first_openai_key(
    seeded: list[Any], run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first\n")
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert seeded[1:] == [("session in us-east-1", "openai-arn", "sk-first")]


def test_an_openai_key_that_is_there_is_not_replaced(
    seeded: list[Any], run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-second")
    monkeypatch.setattr(infra.seeding, "has_value", lambda *_: True)
    run(seed_new_user, Known(ARNS), "us-east-1")
    assert len(seeded) == 1


@pytest.mark.parametrize(("arns", "user"), [(None, "the-user"), (ARNS, None)])
def test_seeding_what_is_not_made_yet_is_an_error(
    arns: SecretArns | None, user: str | None, seeded: list[Any], run: Callable[..., None]
) -> None:
    with pytest.raises(RuntimeError, match="lacks a dependency"):
        run(seed_before_tasks, Known(arns), "us-east-1", Known(user), Known("the-table"))
    assert seeded == []
