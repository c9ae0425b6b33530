"""Limits and budgets through whole replicas: exact at any concurrency, and told as OpenAI tells them."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import openai
import pytest

from app.limits import Limits
from app.usage import Usage
from tests.app.accounts import (
    MODEL,
    PRICES,
    Account,
    body,
    post,
    post_all,
    reserved_for,
    statuses,
)
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.app.test_passthrough import Upstream
from tests.servers import ValkeyServer, until

MESSAGES: Any = [{"role": "user", "content": "tell me"}]


@pytest.fixture(scope="module")
def replicas(start_gateway: StartGateway) -> Iterator[list[str]]:
    with start_gateway() as one, start_gateway() as other:
        yield [one.url, other.url]


def charged(stand_in: StandIn) -> int:
    """Micro-dollars for what the stand-in counted."""
    price = PRICES.price(MODEL)
    assert price is not None
    return sum(
        price.cost(Usage(call["prompt_tokens"], call["completion_tokens"], call["total_tokens"]))
        for call in stand_in.calls()["last"]
    )


async def test_of_200_at_once_a_budget_for_37_lets_37_through(
    replicas: list[str], aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    stand_in.behave(delay_ms=3000)
    requests = [body(f"question {number:03}") for number in range(200)]
    account = Account(aws, Limits(spend_limit_micro_usd=37 * reserved_for(requests[0])))
    replies = await post_all(replicas, account.key, requests)
    assert statuses(replies) == {200: 37, 429: 163}
    assert stand_in.calls()["total"] == 37
    for reply in replies:
        if reply.status == 429:
            assert reply.code == "project_spend_limit_exceeded"
            assert reply.headers["x-should-retry"] == "true"
            assert reply.headers["retry-after"] == "1"
    records = account.recorded(37)
    assert sum(record["micro_usd"] for record in records.values()) == charged(stand_in)
    until(lambda: account.budgets(valkey)["b:o"] == (charged(stand_in), 0))
    assert account.held_by(valkey) == 0
    for scope in ("ORG", f"PROJECT#{account.project_id}"):
        assert account.totals()[scope]["micro_usd"] == charged(stand_in)
        assert account.totals()[scope]["requests"] == 37


async def test_what_runs_while_valkey_loses_its_memory_is_held_by_the_next_one(
    replicas: list[str], aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    stand_in.behave(delay_ms=8000)
    requests = [body(f"running {number}") for number in range(10)]
    refused = body('#stand-in {"status": 400, "delay_ms": 8000}')
    limit = sum(map(reserved_for, [*requests, refused]))
    account = Account(aws, Limits(spend_limit_micro_usd=limit))
    running = asyncio.create_task(post_all(replicas, account.key, [*requests, refused]))
    await asyncio.to_thread(until, lambda: stand_in.calls()["total"] == 11)
    account.forget(valkey)
    more = await post_all(replicas, account.key, [body(f"more {number}") for number in range(6)])
    assert {(reply.status, reply.code) for reply in more} == {(429, "project_spend_limit_exceeded")}
    assert all(reply.headers["x-should-retry"] == "true" for reply in more)
    assert account.budgets(valkey)["b:o"] == (0, limit)
    assert statuses(await running) == {200: 10, 400: 1}
    spent = sum(record["micro_usd"] for record in account.recorded(10).values())
    until(lambda: account.budgets(valkey)["b:o"] == (spent, 0), what=f"{spent} spent and nothing held")
    assert account.held_by(valkey) == 0
    assert account.totals()["ORG"]["micro_usd"] == spent


async def test_those_who_ask_again_use_the_budget_up_and_never_exceed_it(
    replicas: list[str], aws: Aws, stand_in: StandIn
) -> None:
    one = reserved_for(body("question 000"))
    limit = 20 * one
    account = Account(aws, organization_limits=Limits(spend_limit_micro_usd=limit))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def ask(number: int) -> str | None:
            while True:
                reply = await post(client, replicas[number % 2], account.key, body(f"question {number:03}"))
                if reply.status == 200:
                    return None
                assert reply.code == "organization_spend_limit_exceeded"
                if reply.headers["x-should-retry"] == "false":
                    return reply.code
                await asyncio.sleep(0.05)

        ended = await asyncio.gather(*(ask(number) for number in range(100)))
    succeeded = ended.count(None)
    assert stand_in.calls()["total"] == succeeded
    assert limit - one < charged(stand_in) <= limit
    assert succeeded > 20, "what was reserved in vain is given back"


async def test_of_1000_at_once_a_limit_of_100_a_minute_lets_100_and_the_burst_through(
    replicas: list[str], aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws, Limits(requests_per_minute=100, burst_requests=5))
    began = time.monotonic()
    replies = await post_all(replicas, account.key, [body(f"{number}") for number in range(1000)])
    leaked = (time.monotonic() - began) * 100 / 60
    succeeded = statuses(replies)[200]
    assert 105 <= succeeded <= 105 + leaked + 1
    assert succeeded + statuses(replies)[429] == 1000
    assert stand_in.calls()["total"] == succeeded


async def test_requests_at_the_same_time_are_limited(
    replicas: list[str], aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    stand_in.behave(delay_ms=1000)
    account = Account(aws, Limits(concurrent_requests=3))
    replies = await post_all(replicas, account.key, [body(f"{number}") for number in range(12)])
    assert statuses(replies) == {200: 3, 429: 9}
    until(lambda: account.held_by(valkey) == 0)
    stand_in.behave()
    again = await post_all(replicas, account.key, [body()])
    assert again[0].status == 200


async def test_tokens_are_held_by_their_bound_and_counted_as_told(
    replicas: list[str], aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws)
    account.limit_model(MODEL, Limits(tokens_per_minute=10_000))
    url = replicas[:1]
    first = (await post_all(url, account.key, [body(max_tokens=500)]))[0]
    assert first.headers["x-ratelimit-limit-tokens"] == "10000"
    held = 10_000 - int(first.headers["x-ratelimit-remaining-tokens"])
    assert held == len(body(max_tokens=500)) + 64 + 16 + 500
    used = stand_in.last_call()["total_tokens"]
    second = (await post_all(url, account.key, [body(max_tokens=500)]))[0]
    assert abs(int(second.headers["x-ratelimit-remaining-tokens"]) - (10_000 - held - used)) <= 200
    assert int(second.headers["x-ratelimit-remaining-tokens"]) >= 10_000 - held - used
    large = (await post_all(url, account.key, [body(max_tokens=9_999)]))[0]
    assert (large.status, large.code) == (429, "rate_limit_exceeded")
    assert large.headers["x-should-retry"] == "false"
    assert json.loads(large.text)["error"]["type"] == "tokens"
    unlimited = (await post_all(url, account.key, [body(max_tokens=9_999, model="gpt-4o")]))[0]
    assert unlimited.status == 200


def test_a_spent_budget_is_told_until_when_and_raising_it_reopens_at_once(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=1))
    client = gateway.sdk(key=account.key, max_retries=2)
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=5)
    assert refused.value.code == "project_spend_limit_exceeded"
    now = datetime.now(UTC)
    until_s = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC).timestamp()
    told_s = int(refused.value.response.headers["retry-after"])
    assert abs(told_s - (until_s - now.timestamp())) <= 2
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert stand_in.calls()["total"] == 0
    asked = [line for line in gateway.program.output if account.project_id.encode() in line]
    assert len(asked) <= 1, "the SDK does not ask again"
    account.limit_project(Limits(spend_limit_micro_usd=1_000_000))

    def answered() -> bool:
        try:
            return bool(client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=5).choices)
        except openai.RateLimitError:
            return False

    until(answered, 5.0, "an answer after the limit was raised")


async def test_what_no_budget_can_bound_is_refused_where_there_is_one(
    replicas: list[str], aws: Aws, stand_in: StandIn
) -> None:
    governed = Account(aws, organization_limits=Limits(spend_limit_micro_usd=10**9))
    for request, code, param in (
        (body(model="nobody-knows-it"), "model_not_priced", "model"),
        (body(web_search_options={}), "unbounded_cost", "web_search_options"),
        (body(model="gpt-4o-search-preview"), "unbounded_cost", "model"),
    ):
        reply = (await post_all(replicas, governed.key, [request]))[0]
        assert (reply.status, reply.code) == (400, code)
        error = json.loads(reply.text)["error"]
        assert error["param"] == param
        assert f"the spend limit of the organization {governed.organization_id}" in error["message"]
    assert stand_in.calls()["total"] == 0


async def test_what_the_upstream_refuses_or_never_gets_costs_nothing(
    replicas: list[str], aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**6, concurrent_requests=1))
    for status in (400, 404, 429, 500):
        stand_in.behave(status=status)
        reply = (await post_all(replicas, account.key, [body()]))[0]
        assert reply.status in (status, 502)
        until(lambda: account.held_by(valkey) == 0)
    assert account.budgets(valkey)["b:o"] == (0, 0)
    assert account.records() == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [408, 409, 504])
async def test_what_leaves_open_whether_the_work_was_done_is_charged_as_far_as_it_can_be_told(
    replicas: list[str], aws: Aws, stand_in: StandIn, valkey: ValkeyServer, status: int, stream: bool
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**6))
    stand_in.behave(status=status, delay_ms=100)
    request = body(stream=stream)
    reply = (await post_all(replicas[:1], account.key, [request]))[0]
    assert (reply.status, stand_in.calls()["total"]) == (status, 1)
    (record,) = account.recorded(1).values()
    assert (record["outcome"], record["estimated"]) == ("broken_off", True)
    assert record["prompt_tokens"] > 0
    assert record["completion_tokens"] > 0 or stream
    assert 0 < record["micro_usd"] <= reserved_for(request)
    assert account.budgets(valkey)["b:o"] == (record["micro_usd"], 0)


@pytest.mark.parametrize(
    ("status", "code", "is_charged"), [(504, "upstream_malformed", True), (502, "upstream_failed", False)]
)
async def test_a_failure_that_something_on_the_way_tells_is_charged_by_its_status(
    start_gateway: StartGateway, aws: Aws, status: int, code: str, is_charged: bool
) -> None:
    upstream = Upstream()
    upstream.status, upstream.answer = status, b"<html>Gateway Time-out</html>"
    upstream.headers = {"content-type": "text/html"}
    account = Account(aws, Limits(spend_limit_micro_usd=10**6))
    try:
        with start_gateway(GATEWAY_OPENAI_BASE_URL=upstream.url) as gateway:
            reply = (await post_all([gateway.url], account.key, [body()]))[0]
    finally:
        upstream.close()
    assert (reply.status, reply.code) == (502, code)
    # Its gateway has stopped, so whatever there is was recorded.
    assert [record["estimated"] for record in account.records().values()] == [True] * is_charged


@pytest.mark.usefixtures("stand_in")
async def test_an_archived_project_is_refused_within_5_s(replicas: list[str], aws: Aws) -> None:
    account = Account(aws)
    async with aiohttp.ClientSession() as client:
        assert (await post(client, replicas[0], account.key, body())).status == 200
        account.limit_project(Limits(), status="archived")
        deadline = time.monotonic() + 5
        while (reply := await post(client, replicas[0], account.key, body())).status == 200:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    assert (reply.status, reply.code) == (401, "project_archived")
