"""Where the events of a stream go: to its client, at a pace that holds up nobody who waits for the same."""

import asyncio

from app.cache import Flight
from app.cache.flights import Follower
from app.exchange import Exchange

HOLDS_UP_S = 0.25


class Outlet:
    """The client of a stream and whoever follows it.

    A client that takes nothing for HOLDS_UP_S while others follow gets the rest from a queue of its own.
    """

    def __init__(self, exchange: Exchange, flight: Flight) -> None:
        self._exchange = exchange
        self._flight = flight
        self._writing: asyncio.Task[None] | None = None

    async def write(self, events: bytes) -> None:
        """More of the stream, which has begun."""
        self._flight.publish(events)
        if self._flight.slot is None:
            await self._exchange.write(events)
        elif self._writing is None:
            await self._write_unless_held_up(events)

    def complete(self, events: bytes) -> bytes | None:
        """These are the last. Returns all events, None when there are more than are kept."""
        self._flight.publish(events)
        return self._flight.land()

    async def end(self, events: bytes) -> None:
        """Ends the stream with its last events, which `complete` has seen. Raises LeaderFailedError when its
        client is too far behind."""
        if self._writing is not None:
            await self._writing
            events = b""
        await self._exchange.end_stream(events)

    def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()

    async def _write_unless_held_up(self, events: bytes) -> None:
        while self._writing is None:
            try:
                async with asyncio.timeout(HOLDS_UP_S):
                    # Cancelled, it has not written anything yet: it waits first.
                    await self._exchange.write(events)
                return
            except TimeoutError:
                if self._flight.is_followed:
                    own = self._flight.follow_own(events)
                    self._writing = asyncio.create_task(self._write_all(own))
                    self._writing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _write_all(self, own: Follower) -> None:
        while events := await own.get():
            await self._exchange.write(events)
