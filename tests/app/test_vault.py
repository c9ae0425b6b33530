"""Secrets that rotate: the last good value stays, and nothing of a value is ever told."""

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from app import vault
from app.secret_values import CacheUser, Deployment, parse_deployments
from app.vault import RotatingSecret

GOOD = (Deployment("openai", "sk-good"),)


class FakeSecretsManager:
    """Answers with what `answer` holds, or raises it."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.reads = 0

    async def get_secret_value(self, **_request: Any) -> dict[str, Any]:
        self.reads += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"SecretString": self.answer}


@pytest.fixture(autouse=True)
def _no_pause_between_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "LEAST_BETWEEN_S", 0)


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret text"}}, "GetSecretValue")


@pytest.mark.parametrize(
    ("failure", "trouble"),
    [
        (EndpointConnectionError(endpoint_url="https://x"), "EndpointConnectionError"),
        (refused("AccessDeniedException"), "AccessDeniedException"),
        (refused("ResourceNotFoundException"), "it has no value yet"),
        (TimeoutError(), "TimeoutError"),
        ("two words", "its value is not an API key: one line of printable ASCII without spaces"),
        ("", "it has no value yet"),
    ],
)
async def test_the_last_good_value_stays(failure: object, trouble: str) -> None:
    client = FakeSecretsManager("sk-good")
    secret = RotatingSecret("openai", client, "arn", parse_deployments)
    await secret.refresh()
    assert (secret.value, secret.trouble) == (GOOD, None)
    client.answer = failure
    await secret.refresh()
    assert (secret.value, secret.trouble) == (GOOD, trouble)
    client.answer = "sk-new"
    await secret.refresh()
    assert (secret.value, secret.trouble) == ((Deployment("openai", "sk-new"),), None)


async def test_reads_are_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "LEAST_BETWEEN_S", 60)
    client = FakeSecretsManager("sk-good")
    secret = RotatingSecret("openai", client, "arn", parse_deployments)
    for _ in range(5):
        await secret.refresh()
    assert client.reads == 1


async def test_an_equal_value_stays_the_same_object() -> None:
    secret = RotatingSecret("openai", FakeSecretsManager("sk-good"), "arn", parse_deployments)
    await secret.refresh()
    before = secret.value
    await secret.refresh()
    assert secret.value is before


async def test_a_rotated_key_is_there_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vault.REFRESH_S + vault.ANSWER_WITHIN_S < 60
    monkeypatch.setattr(vault, "REFRESH_S", 0.01)
    client = FakeSecretsManager('[{"key":"sk-good","name":"openai"}]')
    secrets = vault.Vault(client, openai_arn="openai", cache_arn="openai")
    monkeypatch.setattr(secrets.cache_user, "_parse", lambda _text: CacheUser("gateway", "x"))
    await secrets.open()
    assert secrets.openai_key.value == GOOD
    rotated = asyncio.Event()

    def notice(_event: str, **fields: Any) -> None:
        if fields["rotated"]:
            rotated.set()

    monkeypatch.setattr(vault, "log_event", notice)
    client.answer = "sk-new"
    await asyncio.wait_for(rotated.wait(), 5)
    await asyncio.sleep(0)
    assert secrets.openai_key.value == (Deployment("openai", "sk-new"),)
    await secrets.close()
