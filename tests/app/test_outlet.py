"""The client of a stream that takes its events as it can, while others wait for the same."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app import gateway
from app.cache import Flights, LeaderFailedError
from app.cache.flights import MAX_BEHIND_BYTES, Follower
from app.cache.slot import Slot
from app.caps import NO_CAPS
from app.endpoints import CHAT_COMPLETIONS
from app.exchange import Exchange
from app.kept import KeptIds, Ownership
from app.outlet import Outlet
from tests.app.conftest import StandIn
from tests.app.test_batching import batching

SLOT = Slot("key", b"epoch", 60)


class Client:
    """One that takes no event until it is told to."""

    def __init__(self) -> None:
        self.takes = asyncio.Event()
        self.got: list[bytes] = []
        self.exchange = Exchange(
            {"type": "http", "method": "POST", "path": "/", "headers": []}, self._receive, self._send
        )

    async def _receive(self) -> Any:
        await asyncio.Event().wait()

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            await self.takes.wait()
            self.got.append(message["body"])


async def everything(follower: Follower) -> bytes:
    got = b""
    while events := await follower.get():
        got += events
    return got


async def test_a_leader_whose_client_is_slow_holds_up_nobody_and_gets_everything_in_the_end() -> None:
    flights, client = Flights(), Client()
    outlet = Outlet(client.exchange, flights.lead(SLOT, alone=False))
    follower = flights.follow(SLOT)
    assert follower
    following = asyncio.create_task(everything(follower))
    async with asyncio.timeout(2):
        for events in (b"one ", b"two "):
            await outlet.write(events)
        assert outlet.complete(b"three") == b"one two three"
        assert await following == b"one two three"
    assert client.got == []
    ending = asyncio.create_task(outlet.end(b"three"))
    client.takes.set()
    await ending
    assert b"".join(client.got) == b"one two three"


async def test_alone_a_slow_client_slows_only_its_own_stream() -> None:
    flights, client = Flights(), Client()
    outlet = Outlet(client.exchange, flights.lead(SLOT, alone=False))
    writing = asyncio.create_task(outlet.write(b"one"))
    done, _ = await asyncio.wait({writing}, timeout=0.6)
    assert not done
    client.takes.set()
    await writing
    assert client.got == [b"one"]


async def test_a_leader_far_behind_those_who_follow_loses_its_answer() -> None:
    flights, client = Flights(), Client()
    outlet = Outlet(client.exchange, flights.lead(SLOT, alone=False))
    assert flights.follow(SLOT)
    for _ in range(3):
        await outlet.write(b"x" * (MAX_BEHIND_BYTES // 2 + 1))
    outlet.complete(b"")
    client.takes.set()
    with pytest.raises(LeaderFailedError):
        await outlet.end(b"")


async def test_a_slow_leader_is_told_of_a_failure_within_the_stream_after_all_that_came_before(
    stand_in: StandIn,
) -> None:
    stand_in.behave(error_after=3, chunk_delay_ms=300)
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "tell me"}], "stream": True}
    request = CHAT_COMPLETIONS.parse(json.dumps(body).encode())
    flights, client = Flights(), Client()
    flight = flights.lead(SLOT, alone=False)
    follower = flights.follow(SLOT)
    assert follower
    following = asyncio.create_task(everything(follower))
    async with batching(stand_in) as (_, upstream), asyncio.timeout(10):
        ownership = Ownership(KeptIds("a pepper"), cast(Any, None))
        steps = SimpleNamespace(upstream=upstream, ownership=ownership, ping_interval_s=10.0)
        hold = SimpleNamespace(caller=SimpleNamespace(settings=SimpleNamespace(caps=NO_CAPS)))
        leading = asyncio.create_task(
            gateway._stream(client.exchange, cast(Any, steps), request, flight, cast(Any, hold))
        )
        with pytest.raises(LeaderFailedError):
            await following
        client.takes.set()
        await leading
    events = b"".join(client.got).split(b"\n\n")
    assert [b'"delta"' in event for event in events] == [True, True, True, False, False]
    assert b"The model failed." in events[3]
    assert client.exchange.record.error == "upstream_failed_in_stream"
