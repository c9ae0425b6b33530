"""Joined requests through a whole gateway: the upstream's calls, each caller's answer and its charge."""

import asyncio
import json
import signal
import time
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from app.batching import LONGEST_WINDOW_S
from app.limits import Limits
from app.usage import parse_usage
from local.stand_in.completions import count_tokens
from tests.app.accounts import PRICES, Account
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.servers import ValkeyServer, until

MODEL = "gpt-3.5-turbo-instruct"
EMBEDDING_MODEL = "text-embedding-3-small"


@dataclass
class Asked:
    """A request and its answer."""

    path: str
    fields: dict[str, Any]
    key: str
    status: int = 0
    value: Any = None
    request_id: str = ""


def completion(prompt: str, key: str, **fields: Any) -> Asked:
    return Asked("/completions", {"model": MODEL, "prompt": prompt, "max_tokens": 12, **fields}, key)


def embedding(text: str, key: str, **fields: Any) -> Asked:
    return Asked("/embeddings", {"model": EMBEDDING_MODEL, "input": text, "dimensions": 4, **fields}, key)


async def ask_at_once(gateway: Gateway, requests: list[Asked]) -> list[Asked]:
    """All are on their connections before the gateway reads the first: it is stopped meanwhile."""
    lines = [await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**24) for _ in requests]
    for reader, writer in lines:
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await _answer(reader)
    gateway.program.send_signal(signal.SIGSTOP)
    stopped = psutil.Process(gateway.program.popen.pid)
    until(lambda: stopped.status() == psutil.STATUS_STOPPED)
    for (_, writer), asked in zip(lines, requests, strict=True):
        body = json.dumps(asked.fields).encode()
        head = f"POST /v1{asked.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {asked.key}\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    gateway.program.send_signal(signal.SIGCONT)
    for (reader, writer), asked in zip(lines, requests, strict=True):
        asked.status, headers, body = await _answer(reader)
        asked.value, asked.request_id = json.loads(body), headers["x-request-id"]
        writer.close()
    return requests


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


@pytest.mark.parametrize("make", [completion, embedding])
async def test_200_different_prompts_at_once_are_exactly_10_calls(
    gateway: Gateway, stand_in: StandIn, make: Any
) -> None:
    moment = time.time_ns()
    asked = [make(f"prompt {number} of {moment}", gateway.key) for number in range(200)]
    await ask_at_once(gateway, [make("warm up", gateway.key)])
    stand_in.reset()
    await ask_at_once(gateway, asked)
    assert {one.status for one in asked} == {200}
    calls = stand_in.calls()
    assert calls["total"] == 10
    inputs = [json.loads(call["body"]) for call in calls["last"]]
    assert [len(body.get("prompt") or body["input"]) for body in inputs] == [20] * 10
    assert sum(one.value["usage"]["total_tokens"] for one in asked) == calls["total_tokens"]
    for one in asked:
        assert one.value["usage"]["prompt_tokens"] == count_tokens(
            one.fields.get("prompt") or one.fields["input"]
        )
    assert len({json.dumps(one.value.get("choices") or one.value["data"]) for one in asked}) == 200


async def test_organizations_that_are_joined_are_charged_each_for_its_own(
    gateway: Gateway, aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    limits = Limits(spend_limit_micro_usd=10_000_000)
    accounts = [Account(aws, limits), Account(aws, limits)]
    long, short = "a long prompt that has more of everything " * 20, "short"
    asked = [completion(long, accounts[0].key), completion(short, accounts[1].key)] * 3
    await ask_at_once(gateway, [Asked(one.path, dict(one.fields), one.key) for one in asked[:2]])
    stand_in.reset()
    await ask_at_once(gateway, asked)
    assert stand_in.calls()["total"] == 1
    price = PRICES.price(MODEL)
    assert price is not None
    for account, prompt in zip(accounts, (long, short), strict=True):
        records = account.recorded(4)
        for one in asked:
            if one.key == account.key:
                usage = parse_usage(one.value["usage"])
                assert usage is not None
                record = records[one.request_id]
                assert record["prompt_tokens"] == usage.prompt_tokens == count_tokens(prompt)
                assert record["completion_tokens"] == usage.completion_tokens
                assert (record["micro_usd"], record["outcome"]) == (price.cost(usage), "answered")
                assert not record["estimated"]
        until(lambda account=account: account.held_by(valkey) == 0)  # type: ignore[misc]
        assert all(held == 0 for _, held in account.budgets(valkey).values())


async def test_one_who_is_refused_by_a_limit_is_not_waited_for(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    limited = Account(aws, Limits(requests_per_minute=1)).key
    await ask_at_once(gateway, [completion("first", limited)])
    stand_in.reset()
    one, refused, other = await ask_at_once(
        gateway, [completion("one", gateway.key), completion("no", limited), completion("two", gateway.key)]
    )
    assert [one.status, refused.status, other.status] == [200, 429, 200]
    assert stand_in.calls()["total"] == 1
    assert "no" not in json.loads(stand_in.last_call()["body"])["prompt"]
    line = gateway.program.said("request", request_id=one.request_id)
    assert (line["joined"], line["upstream_attempts"], line["upstream_status"]) == (2, 1, 200)


async def test_who_asks_does_not_wait_for_those_who_wait_for_its_answer(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws)
    held_up_ms = []
    for _ in range(3):
        stand_in.reset()
        text = f"the same of {time.time_ns()}"
        await ask_at_once(gateway, [embedding(text, account.key) for _ in range(10)])
        assert stand_in.calls()["total"] == 1
        held_up_ms.append(_held_up_ms(gateway, account))
    assert min(held_up_ms) < LONGEST_WINDOW_S * 1000 / 2


async def test_who_waits_for_another_replicas_answer_is_not_waited_for(
    gateway: Gateway, start_gateway: StartGateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws)
    held_up_ms = []
    with start_gateway() as other:
        for _ in range(3):
            stand_in.reset()
            moment = time.time_ns()
            slow = f'#stand-in {{"delay_ms": 800}} {moment}'
            leading = asyncio.create_task(ask_at_once(gateway, [embedding(slow, account.key)]))
            await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 1)
            texts = [slow, f"one of {moment}", f"two of {moment}"]
            await ask_at_once(other, [embedding(text, account.key) for text in texts])
            await leading
            assert stand_in.calls()["total"] == 2
            held_up_ms.append(_held_up_ms(other, account))
    assert min(held_up_ms) < LONGEST_WINDOW_S * 1000 / 2


def _held_up_ms(gateway: Gateway, account: Account) -> float:
    """How long a request took that was not the upstream's time."""
    line = gateway.program.said("request", project_id=account.project_id, cache="miss")
    held_up_ms: float = line["total_ms"] - line["upstream_ms"]
    return held_up_ms


async def test_a_bad_prompt_does_not_fail_its_neighbours(gateway: Gateway, stand_in: StandIn) -> None:
    asked = [completion(f"prompt {number}", gateway.key) for number in range(5)]
    bad = completion('#stand-in {"status": 422}', gateway.key)
    await ask_at_once(gateway, [*asked, bad])
    assert {one.status for one in asked} == {200}
    assert (bad.status, bad.value["error"]["message"]) == (422, "Failed with 422, as asked.")
    assert stand_in.calls()["total"] == 1 + 6


async def test_a_gateway_that_is_told_to_joins_nothing(
    start_gateway: StartGateway, stand_in: StandIn
) -> None:
    with start_gateway(GATEWAY_BATCH_PROMPTS="1") as gateway:
        await ask_at_once(gateway, [completion(f"prompt {number}", gateway.key) for number in range(5)])
    assert stand_in.calls()["total"] == 5
