"""Comments in a stream's silences, so that no balancer, proxy or client takes it for dead."""

import asyncio

from app.exchange import Exchange
from app.sse import PING


class Pings:
    """Of one stream, before its first event too."""

    __slots__ = ("_exchange", "_interval_s", "_last", "_loop", "_sending", "_timer")

    def __init__(self, exchange: Exchange, interval_s: float) -> None:
        self._exchange = exchange
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._sending: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval_s, self._due)

    def postpone(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _due(self) -> None:
        now = self._loop.time()
        if now >= self._last + self._interval_s:
            self._last = now
            self._sending = self._loop.create_task(self._send())
        self._timer = self._loop.call_at(self._last + self._interval_s, self._due)

    async def _send(self) -> None:
        await self._exchange.begin_stream()
        await self._exchange.write(PING)
