"""Secrets that rotate: the last good value stays, and nothing of a value is ever told."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from app import vault
from app.vault import BadSecretError, CacheUser, RotatingSecret, parse_cache_user, parse_openai_key


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
    secret = RotatingSecret("openai", client, "arn", parse_openai_key)
    await secret.refresh()
    assert (secret.value, secret.trouble) == ("sk-good", None)
    client.answer = failure
    await secret.refresh()
    assert (secret.value, secret.trouble) == ("sk-good", trouble)
    client.answer = "sk-new"
    await secret.refresh()
    assert (secret.value, secret.trouble) == ("sk-new", None)


async def test_reads_are_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "LEAST_BETWEEN_S", 60)
    client = FakeSecretsManager("sk-good")
    secret = RotatingSecret("openai", client, "arn", parse_openai_key)
    for _ in range(5):
        await secret.refresh()
    assert client.reads == 1


def test_the_cache_user_is_json() -> None:
    user = parse_cache_user('{"username":"gateway","password":"hunter2","other":1}')
    assert user == CacheUser("gateway", "hunter2")
    assert "hunter2" not in repr(user)


@pytest.mark.parametrize(
    "text", ["", "hunter2", "[]", '{"username":"hunter2"}', '{"username":1,"password":"hunter2"}']
)
def test_a_wrong_cache_secret_says_what_it_must_be_and_nothing_of_itself(text: str) -> None:
    with pytest.raises(BadSecretError) as wrong:
        parse_cache_user(text)
    assert "hunter2" not in str(wrong.value)


def test_the_line_end_of_a_copied_key_is_dropped() -> None:
    assert parse_openai_key(" sk-x\n") == "sk-x"
    for text in ("sk-x\nsk-y", "sk-ü", "\n"):
        with pytest.raises(BadSecretError):
            parse_openai_key(text)
