"""What a program sees that uses the official SDK: the exception it already handles, at every endpoint."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.servers import until

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("chat.completions", {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}),
    "responses": ("responses", {"model": "gpt-4o-mini", "input": "hi"}),
    "completions": ("completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"}),
    "embeddings": ("embeddings", {"model": "text-embedding-3-small", "input": "hi"}),
    "moderations": ("moderations", {"model": "omni-moderation-latest", "input": "hi"}),
}
STREAMING = ("chat", "responses", "completions")
WAYS = [(name, False) for name in CALLS] + [(name, True) for name in STREAMING]

every_way = pytest.mark.parametrize(
    ("name", "stream"), WAYS, ids=[f"{name}{'-streamed' if stream else ''}" for name, stream in WAYS]
)


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway) -> Iterator[Gateway]:
    """With the deployed interval of pings: once one is sent, an error can only be an event of the stream."""
    with start_gateway(GATEWAY_PING_INTERVAL_S="15") as patient:
        yield patient


def resource_of(client: Any, name: str) -> Any:
    for part in CALLS[name][0].split("."):
        client = getattr(client, part)
    return client


def call(client: openai.OpenAI, name: str, stream: bool, **options: Any) -> Any:
    """Makes the call to its end: the answer, or the list of a stream's events."""
    if stream:
        options["stream"] = True
    if name == "embeddings":
        # Answers of embeddings are kept; these tests are about those that are made.
        options["extra_headers"] = {"cache-control": "no-store"}
    answer = resource_of(client, name).create(**CALLS[name][1], **options)
    return list(answer) if stream else answer


async def call_async(client: openai.AsyncOpenAI, name: str, stream: bool) -> Any:
    options: dict[str, Any] = {"stream": True} if stream else {}
    if name == "embeddings":
        options["extra_headers"] = {"cache-control": "no-store"}
    answer = await resource_of(client, name).create(**CALLS[name][1], **options)
    return [event async for event in answer] if stream else answer


@every_way
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_status_is_the_sdks_exception(
    gateway: Gateway,
    stand_in: StandIn,
    name: str,
    stream: bool,
    status: int,
    kind: type[openai.APIStatusError],
) -> None:
    stand_in.behave(status=status, **({"retry_after_ms": 20} if status in (429, 503) else {}))
    with pytest.raises(kind) as refused:
        call(gateway.sdk(), name, stream)
    assert refused.value.request_id
    assert refused.value.request_id.startswith("req_")
    body: Any = refused.value.body
    assert body["message"]


@every_way
async def test_the_async_client_raises_the_same(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    async with gateway.async_sdk() as client:
        stand_in.behave(status=422)
        with pytest.raises(openai.UnprocessableEntityError):
            await call_async(client, name, stream)
        stand_in.behave(malformed=True)
        with pytest.raises(openai.APIError) as malformed:
            await call_async(client, name, stream)
        assert malformed.value.code == "upstream_malformed"
    async with gateway.async_sdk(key="sk-gw-" + "x" * 43) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await call_async(stranger, name, stream)


@every_way
def test_an_unknown_model_is_model_not_found(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    options: dict[str, Any] = {"stream": True} if stream else {}
    with pytest.raises(openai.NotFoundError) as refused:
        resource_of(gateway.sdk(), name).create(**{**CALLS[name][1], "model": "nonexistent"}, **options)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")
    assert stand_in.calls()["total"] == 1


@every_way
def test_an_answer_that_is_cut_is_an_error_and_never_a_short_answer(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    stand_in.behave(cut_after=3)
    with pytest.raises(openai.APIError) as cut:
        call(gateway.sdk(), name, stream)
    assert cut.value.code == "upstream_cut"


@every_way
def test_the_sdk_retries_what_a_moment_can_mend(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    # More failures than the gateway itself tries again.
    stand_in.behave(times=4, status=503, retry_after_ms=10)
    assert call(gateway.sdk(max_retries=4), name, stream)


@every_way
def test_a_timeout_of_the_callers_cancels_the_upstreams_work(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    stand_in.behave(delay_ms=20_000)
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        call(gateway.sdk(timeout=0.15), name, stream)
    until(lambda: stand_in.calls()["outcomes"].get("client_gone"))
    assert time.monotonic() - began < 5


@every_way
def test_a_limit_is_the_same_for_all_endpoints(
    gateway: Gateway, stand_in: StandIn, aws: Aws, name: str, stream: bool
) -> None:
    client = gateway.sdk(key=aws.new_key(requests_per_minute=1))
    assert client.models.list()
    with pytest.raises(openai.RateLimitError) as refused:
        call(client, name, stream)
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after-ms"]) <= 60_000
    assert stand_in.calls()["endpoints"] == {"GET /v1/models": 1}


@every_way
def test_the_headers_are_openais_at_every_endpoint(
    gateway: Gateway, stand_in: StandIn, name: str, stream: bool
) -> None:
    options: dict[str, Any] = {"stream": True} if stream else {}
    raw = resource_of(gateway.sdk(), name).with_raw_response.create(**CALLS[name][1], **options)
    if stream:
        list(raw.parse())
    headers = raw.headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-organization"] == "org-first"
    assert headers["content-type"].startswith("text/event-stream" if stream else "application/json")
    if headers["x-cache"] != "hit":
        assert headers["openai-processing-ms"].isdecimal()
        assert headers["x-ratelimit-limit-requests"] == "1000000"
        assert headers["x-ratelimit-remaining-requests"].isdecimal()
        assert headers["x-ratelimit-reset-requests"]
    assert stand_in.calls()["total"] <= 1


def test_an_upstream_that_is_gone_is_an_internal_server_error(start_gateway: StartGateway) -> None:
    gone = {"GATEWAY_OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "GATEWAY_PING_INTERVAL_S": "15"}
    with start_gateway(**gone) as gateway:
        for name, stream in WAYS:
            with pytest.raises(openai.InternalServerError) as refused:
                call(gateway.sdk(), name, stream)
            assert refused.value.code == "upstream_unreachable"


async def test_many_clients_at_once_get_their_own_answers(gateway: Gateway, stand_in: StandIn) -> None:
    async with gateway.async_sdk() as client:

        async def ask(number: int) -> bool:
            stream = await client.responses.create(
                model="gpt-4o-mini", input=f"number {number}.", stream=True
            )
            text = "".join(
                [event.delta async for event in stream if event.type == "response.output_text.delta"]
            )
            return f"You asked: number {number}." in text

        assert all(await asyncio.gather(*(ask(number) for number in range(60))))
    assert stand_in.calls()["outcomes"] == {"answered": 60}
