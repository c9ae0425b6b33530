"""Identical requests at the same time: one upstream call for all, and nobody pays twice for a failure."""

import asyncio
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import orjson
import pytest

from app.cache.leases import LEASE_MS
from app.limits import Limits
from tests.app.accounts import Account
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.servers import Relay, ValkeyServer, until

MODEL = "gpt-4o-mini"
MANY = 100


@pytest.fixture
def account(aws: Aws) -> Account:
    """A project of the test's own, so that its answers are nobody else's."""
    return Account(aws)


@pytest.fixture(scope="module")
def other(start_gateway: StartGateway) -> Iterator[Gateway]:
    """A second replica."""
    with start_gateway() as second:
        yield second


class Asked:
    """One request under way. answer: as text, None when the connection broke."""

    def __init__(self, status: int = 0, headers: Any = None, body: bytes = b"") -> None:
        self.status = status
        self.headers = headers or {}
        self.body = body

    @property
    def text(self) -> str:
        if not self.body.startswith(b"data:") and b"\ndata:" not in self.body:
            return str(orjson.loads(self.body)["choices"][0]["message"]["content"])
        datas = [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: {")]
        deltas = [orjson.loads(data)["choices"][0]["delta"].get("content") or "" for data in datas]
        return "".join(deltas) if self.body.endswith(b"data: [DONE]\n\n") else ""


async def ask(
    session: aiohttp.ClientSession, gateway: Gateway, key: str, text: str, *, stream: bool, **headers: str
) -> Asked:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_completion_tokens": 60,
        "stream": stream,
    }
    async with session.post(
        f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}", **headers}
    ) as answer:
        return Asked(answer.status, dict(answer.headers), await answer.read())


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=20)
    )


def question() -> str:
    return f"question {uuid.uuid4()}"


async def running(stand_in: StandIn, calls: int = 1) -> None:
    """Until the upstream works on so many calls."""
    await asyncio.to_thread(until, lambda: stand_in.calls()["running"] >= calls, 5.0, "the call")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_hundred_identical_requests_are_one_call_and_one_more_after_an_invalidation(
    gateway: Gateway, other: Gateway, stand_in: StandIn, account: Account, stream: bool, replicas: int
) -> None:
    stand_in.behave(delay_ms=200)
    text = question()
    served = [gateway, other][:replicas]
    async with session() as client:
        for calls in (1, 2):
            answers = await asyncio.gather(
                *(
                    ask(client, served[number % replicas], account.key, text, stream=stream)
                    for number in range(MANY)
                )
            )
            assert {answer.status for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            assert text in answers[0].text
            assert stand_in.calls()["total"] == calls
            outcomes = Counter(answer.headers["x-cache"] for answer in answers)
            assert outcomes["miss"] == 1
            assert outcomes["shared"] + outcomes["hit"] == MANY - 1
            async with client.post(
                f"{other.url}/v1/cache/invalidate",
                json={"namespace": "default"},
                headers={"authorization": f"Bearer {account.key}"},
            ) as invalidated:
                assert invalidated.status == 200
    # The leaders pay, nobody else.
    assert len(until(account.records)) <= 2
    until(lambda: len(account.records()) == 2, what="the records of the two calls")


async def test_identical_embeddings_are_one_call_too(
    gateway: Gateway, other: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(delay_ms=200)
    async with session() as client:

        async def embed(served: Gateway) -> Any:
            async with client.post(
                f"{served.url}/v1/embeddings",
                json={"model": "text-embedding-3-small", "input": ["one", "two"]},
                headers={"authorization": f"Bearer {account.key}"},
            ) as answer:
                return (await answer.json())["data"]

        answers = await asyncio.gather(*(embed([gateway, other][number % 2]) for number in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert stand_in.calls()["total"] == 1


async def test_followers_of_a_stream_get_its_events_as_they_come(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(chunk_delay_ms=100)
    text = question()
    async with session() as client:
        leader = asyncio.create_task(ask(client, gateway, account.key, text, stream=True))
        await running(stand_in)
        async with client.post(
            f"{gateway.url}/v1/chat/completions",
            json={
                "model": MODEL,
                "messages": [{"role": "user", "content": text}],
                "temperature": 0,
                "max_completion_tokens": 60,
                "stream": True,
            },
            headers={"authorization": f"Bearer {account.key}"},
        ) as answer:
            assert answer.headers["x-cache"] == "shared"
            first = await answer.content.readany()
            assert first.startswith(b"data: ")
            assert not leader.done()
            body = first + await answer.read()
        led = await leader
    assert body.replace(b": ping\n\n", b"") == led.body.replace(b": ping\n\n", b"")
    assert stand_in.calls()["total"] == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_whose_client_leaves_does_not_take_the_answer_with_it(
    gateway: Gateway, stand_in: StandIn, account: Account, stream: bool
) -> None:
    stand_in.behave(delay_ms=300, chunk_delay_ms=10)
    text = question()
    async with session() as client:
        leader = asyncio.create_task(ask(client, gateway, account.key, text, stream=stream))
        await running(stand_in)
        followers = [
            asyncio.create_task(ask(client, gateway, account.key, text, stream=stream)) for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        leader.cancel()
        answers = await asyncio.gather(*followers)
    assert {(answer.status, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert text in answers[0].text
    assert stand_in.calls()["total"] == 1
    gateway.program.said("request", project_id=account.project_id, status=499, cache="miss")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_everybody_has_left_is_ended(
    gateway: Gateway, stand_in: StandIn, account: Account, stream: bool
) -> None:
    stand_in.behave(delay_ms=5000)
    text = question()
    async with session() as client:
        asked = [asyncio.create_task(ask(client, gateway, account.key, text, stream=stream))]
        await running(stand_in)
        asked += [
            asyncio.create_task(ask(client, gateway, account.key, text, stream=stream)) for _ in range(3)
        ]
        await asyncio.sleep(0.1)
        for request in asked:
            request.cancel()
        await asyncio.wait(asked)
    until(lambda: stand_in.calls()["outcomes"].get("client_gone") == 1, 2.0, "the end of the call")
    assert stand_in.calls()["total"] == 1


async def test_a_follower_that_leaves_changes_nothing_for_the_others(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(delay_ms=300)
    text = question()
    async with session() as client:
        asked = [asyncio.create_task(ask(client, gateway, account.key, text, stream=True)) for _ in range(5)]
        await running(stand_in)
        asked[2].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Asked) and text in answer.text for answer in answers) == 4
    assert stand_in.calls()["total"] == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leaders_failure_fails_nobody_else(
    gateway: Gateway, other: Gateway, stand_in: StandIn, account: Account, stream: bool
) -> None:
    stand_in.behave(status=400, delay_ms=100, times=1)
    text = question()
    async with session() as client:
        answers = await asyncio.gather(
            *(
                ask(client, [gateway, other][number % 2], account.key, text, stream=stream)
                for number in range(20)
            )
        )
    assert Counter(answer.status for answer in answers) == {400: 1, 200: 19}
    assert stand_in.calls()["total"] == 2


async def test_an_upstream_that_stays_broken_is_asked_by_everybody_after_two_failures(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(status=400, delay_ms=100)
    text = question()
    async with session() as client:
        began = time.monotonic()
        answers = await asyncio.gather(
            *(ask(client, gateway, account.key, text, stream=False) for _ in range(20))
        )
    assert {answer.status for answer in answers} == {400}
    assert time.monotonic() - began < 2
    assert stand_in.calls()["total"] == 20


async def test_a_stream_cut_after_events_reached_followers_ends_theirs_as_an_error_too(
    gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(cut_after=3, chunk_delay_ms=150, times=1)
    text = question()
    async with session() as client:
        answers = await asyncio.gather(
            *(ask(client, gateway, account.key, text, stream=True) for _ in range(3))
        )
        assert all(b'"upstream_cut"' in answer.body for answer in answers)
        again = await ask(client, gateway, account.key, text, stream=True)
    assert text in again.text
    assert stand_in.calls()["total"] == 2


async def test_a_leader_over_its_limit_is_refused_and_the_others_are_admitted_by_themselves(
    gateway: Gateway, stand_in: StandIn, aws: Aws, account: Account
) -> None:
    limited = Account(aws, organization_id=account.organization_id, project_id=account.project_id)
    limited.limit_project(Limits(requests_per_minute=1))
    stand_in.behave(delay_ms=200)
    async with session() as client:
        await ask(client, gateway, account.key, question(), stream=False)
        text = question()
        answers = await asyncio.gather(
            *(ask(client, gateway, account.key, text, stream=False) for _ in range(5))
        )
    # Each was refused on its own account: one leader's refusal is not the others'.
    assert {answer.status for answer in answers} == {429}
    assert stand_in.calls()["total"] == 1


async def test_a_killed_replica_is_waited_for_no_longer_than_its_lease(
    start_gateway: StartGateway, gateway: Gateway, stand_in: StandIn, account: Account
) -> None:
    text = question()
    with start_gateway() as killed:
        async with session() as client:
            stand_in.behave(delay_ms=10_000, times=1)
            leader = asyncio.create_task(ask(client, killed, account.key, text, stream=False))
            await running(stand_in)
            began = time.monotonic()
            follower = asyncio.create_task(ask(client, gateway, account.key, text, stream=False))
            await asyncio.sleep(0.1)
            killed.program.send_signal(signal.SIGKILL)
            answer = await follower
            waited_s = time.monotonic() - began
            await asyncio.wait([leader])
            assert leader.exception()
    assert text in answer.text
    assert waited_s < LEASE_MS / 1000 + 1
    assert stand_in.calls()["total"] == 2


async def test_a_replica_that_works_longer_than_its_lease_keeps_it(
    gateway: Gateway, other: Gateway, stand_in: StandIn, account: Account
) -> None:
    stand_in.behave(delay_ms=LEASE_MS + 1000)
    text = question()
    async with session() as client:
        answers = await asyncio.gather(
            *(ask(client, served, account.key, text, stream=False) for served in (gateway, other))
        )
    assert {answer.status for answer in answers} == {200}
    assert stand_in.calls()["total"] == 1


async def test_cache_gone_meanwhile_the_answer_still_reaches_those_who_follow(
    start_gateway: StartGateway, valkey: ValkeyServer, stand_in: StandIn, account: Account
) -> None:
    relay = Relay(valkey.port)
    with start_gateway(GATEWAY_CACHE_URL=f"redis://127.0.0.1:{relay.port}") as cut_off:
        async with session() as client:
            stand_in.behave(delay_ms=400)
            for outcome in ("miss", "bypass"):
                text = question()
                asked = [asyncio.create_task(ask(client, cut_off, account.key, text, stream=False))]
                await running(stand_in)
                asked += [
                    asyncio.create_task(ask(client, cut_off, account.key, text, stream=False))
                    for _ in range(5)
                ]
                await asyncio.sleep(0.1)
                relay.refuse()
                answers = await asyncio.gather(*asked)
                assert {answer.status for answer in answers} == {200}
                assert answers[0].headers["x-cache"] == outcome
                assert {answer.headers["x-cache"] for answer in answers[1:]} == {"shared"}
            assert stand_in.calls()["total"] == 2
    relay.close()
