"""The failure table's rows of the upstream, and of clients that leave: what becomes of their requests."""

import asyncio
import json
import time
from typing import Any

import httpx2
import openai
import pytest

from tests.app.conftest import Gateway, StandIn, StartGateway
from tests.app.test_failures import MODEL, ask, code, seconds
from tests.servers import until


@pytest.fixture(autouse=True)
def _fresh(stand_in: StandIn) -> None:
    """Every test begins with a stand-in that behaves."""


def last_event(answer: httpx2.Response) -> Any:
    events = [event for event in answer.text.split("\n\n") if event.startswith("data: ")]
    return json.loads(events[-1].removeprefix("data: "))


def test_upstream_429_for_long_is_passed_on_at_once_with_its_waiting_time(
    gateway: Gateway, stand_in: StandIn
) -> None:
    began = time.monotonic()
    for stream in (False, True):
        stand_in.behave(times=1, status=429, retry_after_ms=30_500)
        answer = ask(gateway, stream=stream)
        assert code(answer) == (429, "rate_limit_exceeded")
        assert (answer.headers["retry-after-ms"], answer.headers["retry-after"]) == ("30500", "31")
        assert answer.headers["x-ratelimit-limit-requests"] == "1000000", "the gateway's own limit"
    assert seconds(began) < 1.0


@pytest.mark.parametrize("stream", [False, True])
def test_upstream_429_for_a_moment_is_waited_out(gateway: Gateway, stand_in: StandIn, stream: bool) -> None:
    stand_in.behave(times=1, status=429, retry_after_ms=150)
    began = time.monotonic()
    answer = ask(gateway, stream=stream, max_tokens=2)
    assert (answer.status_code, stand_in.calls()["total"]) == (200, 2)
    assert 0.15 <= seconds(began) < 1.5
    line = gateway.program.said("request", request_id=answer.headers["x-request-id"])
    assert (line["upstream_attempts"], line["upstream_status"]) == (2, 200)


@pytest.mark.parametrize("stream", [False, True])
def test_upstream_500_once_is_asked_again_and_500_for_good_is_passed_on(
    start_gateway: StartGateway, stand_in: StandIn, stream: bool
) -> None:
    with start_gateway(GATEWAY_PING_INTERVAL_S="5") as gateway:
        stand_in.behave(times=1, status=500)
        assert ask(gateway, stream=stream).status_code == 200
        stand_in.reset()
        stand_in.behave(status=500)
        began = time.monotonic()
        answer = ask(gateway, stream=stream)
        assert seconds(began) < 2.0
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")
        assert stand_in.calls()["total"] == 3


def test_an_upstream_that_fails_all_is_not_asked_three_times_as_often(
    start_gateway: StartGateway, stand_in: StandIn
) -> None:
    stand_in.behave(status=500)

    async def ask_all(gateway: Gateway) -> None:
        async with gateway.async_sdk() as client:
            asks = (
                client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}])
                for _ in range(60)
            )
            answers = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(answer, openai.InternalServerError) for answer in answers)

    with start_gateway() as gateway:
        asyncio.run(ask_all(gateway))
    # What was saved up, and a fifth of the requests on top.
    assert 60 < stand_in.calls()["total"] <= 60 + 20 + 12


@pytest.mark.parametrize("cut_after", [0, 2])
def test_upstream_cut_in_a_plain_answer_is_an_error(
    gateway: Gateway, stand_in: StandIn, cut_after: int
) -> None:
    stand_in.behave(times=1, cut_after=cut_after)
    answer = ask(gateway)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] in ("upstream_cut", "upstream_unreachable")


def test_upstream_cut_mid_stream_is_an_error_event_and_never_a_clean_end(
    gateway: Gateway, stand_in: StandIn
) -> None:
    stand_in.behave(times=1, cut_after=3)
    answer = ask(gateway, stream=True)
    assert answer.status_code == 200
    assert last_event(answer)["error"]["code"] == "upstream_cut"
    assert "[DONE]" not in answer.text
    assert "chatcm\n" not in answer.text, "half an event must not be passed on"
    line = gateway.program.said("request", request_id=answer.headers["x-request-id"])
    assert line["error"] == "upstream_cut"
    stand_in.behave(times=1, cut_after=3)
    with pytest.raises(openai.APIError, match="before it was complete"):
        list(
            gateway.sdk().chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "x"}], stream=True
            )
        )


def test_upstream_that_ends_a_stream_in_good_order_but_too_early_is_an_error_event(
    gateway: Gateway, stand_in: StandIn
) -> None:
    stand_in.behave(times=1, end_after=3)
    answer = ask(gateway, stream=True)
    assert last_event(answer)["error"]["code"] == "upstream_cut"
    assert "[DONE]" not in answer.text


def test_upstream_error_event_ends_the_stream_as_it_is(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(times=1, error_after=2)
    answer = ask(gateway, stream=True)
    assert last_event(answer)["error"]["message"] == "The model failed."
    assert answer.text.count('"error"') == 1
    assert "[DONE]" not in answer.text


def test_upstream_malformed_is_a_bad_gateway(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(malformed=True)
    assert code(ask(gateway)) == (502, "upstream_malformed")
    streamed = ask(gateway, stream=True)
    assert last_event(streamed)["error"]["code"] == "upstream_malformed"
    assert "this is not JSON" not in streamed.text


def test_upstream_gone_is_a_bad_gateway_at_once(start_gateway: StartGateway) -> None:
    with start_gateway(
        GATEWAY_OPENAI_BASE_URL="http://127.0.0.1:1/v1", GATEWAY_PING_INTERVAL_S="5"
    ) as gateway:
        began = time.monotonic()
        for stream in (False, True):
            assert code(ask(gateway, stream=stream)) == (502, "upstream_unreachable")
        assert seconds(began) < 2.0


def test_upstream_slow_is_given_up_after_the_longest_stream(
    start_gateway: StartGateway, stand_in: StandIn
) -> None:
    with start_gateway(GATEWAY_LONGEST_STREAM_S="0.6", GATEWAY_PING_INTERVAL_S="5") as gateway:
        stand_in.behave(delay_ms=5000)
        began = time.monotonic()
        for stream in (False, True):
            assert code(ask(gateway, stream=stream)) == (504, "upstream_timeout")
        assert seconds(began) < 2.5
        stand_in.behave(chunk_delay_ms=100)
        streamed = ask(gateway, stream=True)
        assert last_event(streamed)["error"]["code"] == "upstream_timeout"
        assert "[DONE]" not in streamed.text
        until(lambda: stand_in.calls()["running"] == 0, 3.0, "the end of the upstream's work")
        assert stand_in.calls()["outcomes"].get("client_gone") == 3


def test_silence_is_filled_with_comments_before_and_within_a_stream(
    gateway: Gateway, stand_in: StandIn
) -> None:
    stand_in.behave(delay_ms=700)
    answer = ask(gateway, stream=True, max_tokens=2)
    assert answer.text.startswith(": ping\n\n: ping\n\n")
    assert answer.text.endswith("data: [DONE]\n\n")
    stand_in.behave(chunk_delay_ms=300)
    answer = ask(gateway, stream=True, max_tokens=2)
    assert answer.text.count(": ping\n\n") >= 4
    assert answer.text.endswith("data: [DONE]\n\n")
    stand_in.behave(chunk_delay_ms=120)
    assert ": ping" not in ask(gateway, stream=True, max_tokens=3).text, "there was no silence"
    stand_in.behave(delay_ms=300)
    stream = gateway.sdk().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "x"}], stream=True, max_tokens=2
    )
    assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"


def test_a_refusal_after_the_first_comment_comes_as_an_event(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(delay_ms=500, status=429)
    answer = ask(gateway, stream=True)
    assert answer.status_code == 200
    assert last_event(answer)["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", [{"delay_ms": 20_000}, {"delay_ms": 100, "chunk_delay_ms": 5_000}])
async def test_a_client_that_leaves_cancels_the_upstream_call(
    gateway: Gateway, stand_in: StandIn, stream: bool, behaviour: dict[str, int]
) -> None:
    if not stream:
        behaviour = {"delay_ms": 20_000}
    stand_in.behave(**behaviour)
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x"}], "stream": stream})
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}".encode()
    )
    await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 1)
    if "chunk_delay_ms" in behaviour:
        await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    await asyncio.to_thread(until, lambda: stand_in.calls()["outcomes"].get("client_gone") == 1, 3.0)
    line = gateway.program.said("request", status=499)
    assert line["error"] == "client_gone"


def test_many_clients_that_leave_leave_nothing_behind(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(delay_ms=20_000)

    async def leave() -> None:
        async with gateway.async_sdk() as client:
            asks = [
                asyncio.create_task(
                    client.chat.completions.create(
                        model=MODEL, messages=[{"role": "user", "content": "x"}], stream=bool(number % 2)
                    )
                )
                for number in range(30)
            ]
            await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 30)
            for one in asks:
                one.cancel()
            await asyncio.gather(*asks, return_exceptions=True)

    asyncio.run(leave())
    until(lambda: stand_in.calls()["outcomes"].get("client_gone") == 30, 5.0)
    stand_in.reset()
    assert ask(gateway).status_code == 200
