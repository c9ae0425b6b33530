"""The client of a stream that takes its events as it can, while others wait for the same."""

import asyncio
from typing import Any

import pytest

from app.cache import Flights, LeaderFailedError
from app.cache.flights import MAX_BEHIND_BYTES, Follower
from app.cache.slot import Slot
from app.exchange import Exchange
from app.outlet import Outlet

SLOT = Slot("key", b"epoch", 60)


class Client:
    """One that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.takes = asyncio.Event()
        self.got: list[bytes] = []
        self.exchange = Exchange(
            {"type": "http", "method": "POST", "path": "/", "headers": []}, self._receive, self._send
        )

    async def _receive(self) -> Any:
        await asyncio.Event().wait()

    async def _send(self, message: Any) -> None:
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
