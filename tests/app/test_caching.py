"""Callers and the cache: what they ask of it, how they invalidate, and embeddings from hits and misses."""

import uuid
from typing import Any

import httpx2
import openai
import pytest

from app.project_settings import ProjectSettings
from tests.app.accounts import Account
from tests.app.conftest import Aws, Gateway, StandIn
from tests.servers import until

MODEL = "gpt-4o-mini"
EMBEDDER = "text-embedding-3-small"


@pytest.fixture
def account(aws: Aws) -> Account:
    """A project of the test's own, so that its answers are nobody else's."""
    return Account(aws)


def ask(
    gateway: Gateway, key: str, *, text: str = "q", temperature: float | None = 0, **headers: Any
) -> httpx2.Response:
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    if temperature is not None:
        body["temperature"] = temperature
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key}", **named},
        timeout=15,
    )


def invalidate(gateway: Gateway, key: str, **named: Any) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1/cache/invalidate",
        json=named,
        headers={"authorization": f"Bearer {key}"},
        timeout=15,
    )


def status(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-cache"])


def test_the_caller_decides_by_header(gateway: Gateway, stand_in: StandIn, account: Account) -> None:
    key = account.key
    assert status(ask(gateway, key, x_cache="bypass")) == "bypass"
    assert status(ask(gateway, key)) == "miss"
    assert status(ask(gateway, key)) == "hit"
    assert status(ask(gateway, key, x_cache="refresh")) == "miss"
    assert status(ask(gateway, key, x_cache="only")) == "hit"
    assert stand_in.calls()["total"] == 3


def test_only_the_cache_is_asked_when_the_caller_says_so_and_the_sdk_does_not_ask_again(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    client = gateway.sdk(account.key, max_retries=2)
    for temperature in (0, 1):
        with pytest.raises(openai.NotFoundError) as missed:
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "never asked"}],
                temperature=temperature,
                extra_headers={"x-cache": "only"},
            )
        assert missed.value.code == "cache_miss"
        assert missed.value.response.headers["x-should-retry"] == "false"
    assert stand_in.calls()["total"] == 0


def test_a_wrong_wish_is_refused_before_anything_is_asked(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    for header, value in (("x_cache", "never"), ("x_cache_ttl", "0")):
        wrong: dict[str, Any] = {header: value}
        refused = ask(gateway, account.key, **wrong)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == header.replace("_", "-")
    assert stand_in.calls()["total"] == 0


def test_an_answer_is_kept_for_as_long_as_the_request_says(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    assert status(ask(gateway, account.key, x_cache_ttl="1")) == "miss"
    assert status(ask(gateway, account.key)) == "hit"
    until(lambda: status(ask(gateway, account.key, x_cache_ttl="1")) == "miss", what="the end of the answer")
    assert stand_in.calls()["total"] == 2


def test_new_information_invalidates_what_rests_on_it_and_nothing_else(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    wishes: dict[str, dict[str, Any]] = {
        "none": {},
        "docs": {"x_cache_namespace": "docs"},
        "tagged": {"x_cache_namespace": "docs", "x_cache_tags": "a, b"},
    }

    def found() -> set[str]:
        return {
            name for name, headers in wishes.items() if status(ask(gateway, account.key, **headers)) == "hit"
        }

    assert found() == set()
    assert found() == set(wishes)
    answer = invalidate(gateway, account.key, tags=["b"])
    assert answer.json() == {"object": "cache.invalidation", "namespace": None, "tags": ["b"]}
    assert found() == {"none", "docs"}
    assert invalidate(gateway, account.key, namespace="docs").status_code == 200
    assert found() == {"none"}
    assert invalidate(gateway, account.key, namespace="default", tags=["z"]).status_code == 200
    assert found() == {"docs", "tagged"}
    assert found() == set(wishes)
    assert stand_in.calls()["total"] == 7


def test_a_project_invalidates_its_own_answers_only(gateway: Gateway, aws: Aws, account: Account) -> None:
    ask(gateway, account.key)
    assert invalidate(gateway, Account(aws).key, namespace="default").status_code == 200
    assert status(ask(gateway, account.key)) == "hit"
    assert invalidate(gateway, "sk-gw-wrong", namespace="default").status_code == 401
    assert invalidate(gateway, account.key, namespace="a b").json()["error"]["param"] == "namespace"


@pytest.mark.usefixtures("stand_in")
def test_a_projects_settings_are_in_force_within_five_seconds(gateway: Gateway, account: Account) -> None:
    assert status(ask(gateway, account.key, temperature=None)) == "bypass"
    account.choose(ProjectSettings(cache_all=True))
    until(lambda: status(ask(gateway, account.key, temperature=None)) == "hit", 5.5, "a kept answer")
    account.choose(ProjectSettings(cache_ttl_s=0))
    until(lambda: status(ask(gateway, account.key)) == "bypass", 5.5, "a project without a cache")


def embed(gateway: Gateway, key: str, inputs: Any, **fields: Any) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1/embeddings",
        json={"model": EMBEDDER, "input": inputs, **fields},
        headers={"authorization": f"Bearer {key}"},
        timeout=15,
    )


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "base64"}])
def test_embeddings_are_assembled_from_hits_and_misses(
    gateway: Gateway, stand_in: StandIn, account: Account, encoding: dict[str, str]
) -> None:
    texts = ["one", "two words", "three short words"]
    direct = {
        text: embed(gateway, Account(account.aws).key, text, **encoding).json()["data"][0]["embedding"]
        for text in texts
    }
    stand_in.control("DELETE", "/calls")
    first = embed(gateway, account.key, texts[1], **encoding)
    assert first.headers["x-cache"] == "miss"
    mixed = embed(gateway, account.key, texts, **encoding)
    assert mixed.headers["x-cache"] == "partial"
    assert b'["one","three short words"]' in stand_in.last_call()["body"].encode()
    assert mixed.json()["usage"]["prompt_tokens"] == stand_in.last_call()["prompt_tokens"]
    whole = embed(gateway, account.key, [texts[2], texts[0], texts[1]], **encoding)
    assert whole.headers["x-cache"] == "hit"
    assert whole.json()["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    for answer, asked in ((mixed, texts), (whole, [texts[2], texts[0], texts[1]])):
        value = answer.json()
        assert [(item["index"], item["embedding"]) for item in value["data"]] == [
            (index, direct[text]) for index, text in enumerate(asked)
        ]
        assert (value["object"], value["model"]) == ("list", EMBEDDER)
    assert stand_in.calls()["total"] == 2
    # Only what was asked is charged for.
    assert sum(record["prompt_tokens"] for record in until(lambda: two_records(account)).values()) == sum(
        call["prompt_tokens"] for call in stand_in.calls()["last"]
    )


def two_records(account: Account) -> dict[str, dict[str, Any]] | None:
    records = account.records()
    return records if len(records) == 2 else None


def test_the_sdk_reads_assembled_embeddings(gateway: Gateway, account: Account) -> None:
    client = gateway.sdk(account.key)
    client.embeddings.create(model=EMBEDDER, input="b")
    raw = client.embeddings.with_raw_response.create(model=EMBEDDER, input=["a", "b"])
    assert raw.headers["x-cache"] == "partial"
    vectors = [item.embedding for item in raw.parse().data]
    alone = client.embeddings.create(model=EMBEDDER, input=["a"]).data[0].embedding
    assert vectors[0] == alone
    assert len(vectors) == 2


def test_a_batch_of_embeddings_larger_than_one_lookup_is_assembled(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    texts = [f"text {number}" for number in range(300)]
    embed(gateway, account.key, texts[:200])
    assert embed(gateway, account.key, texts).headers["x-cache"] == "partial"
    assert embed(gateway, account.key, texts).headers["x-cache"] == "hit"
    assert stand_in.calls()["total"] == 2


def test_failed_embeddings_are_not_kept_and_leave_hits_alone(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    embed(gateway, account.key, "good")
    stand_in.behave(status=400)
    assert embed(gateway, account.key, ["good", "bad"]).status_code == 400
    assert embed(gateway, account.key, "good").headers["x-cache"] == "hit"
    stand_in.behave()
    assert embed(gateway, account.key, ["good", "bad"]).headers["x-cache"] == "partial"


def test_errors_and_cut_streams_are_never_kept(gateway: Gateway, stand_in: StandIn, account: Account) -> None:
    client = gateway.sdk(account.key)
    for stream in (False, True):
        behaviours: list[dict[str, Any]] = [
            {"status": 400},
            {"status": 500},
            {"cut_after": 2},
            {"malformed": True},
            *([{"error_after": 1}, {"end_after": 2}] if stream else []),
        ]
        for behaviour in behaviours:
            text = f"question {uuid.uuid4()}"
            for expected in ("failed", "miss", "hit"):
                stand_in.behave(**(behaviour if expected == "failed" else {}))
                try:
                    with client.chat.completions.with_streaming_response.create(
                        model=MODEL,
                        messages=[{"role": "user", "content": text}],
                        temperature=0,
                        stream=stream,
                    ) as raw:
                        body = raw.read()
                        outcome = raw.headers["x-cache"]
                    if expected == "failed":
                        assert b"error" in body
                    else:
                        assert outcome == expected
                except (openai.APIError, httpx2.HTTPError):
                    assert expected == "failed"
