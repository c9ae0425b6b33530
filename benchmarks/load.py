"""Load from one process that costs little: bare HTTP/1.1 on uvloop, a fixed number of requests in flight."""

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import psutil
import uvloop

WARM_UP_S = 1.0
LONGEST_ANSWER_S = 30.0

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """What a target did. cpu_us: processor time of its process for a request, in microseconds. first_ms: the
    median time to the first byte of a body."""

    requests_per_s: float
    cpu_us: float
    median_ms: float
    p99_ms: float
    first_ms: float


class LoadError(Exception):
    """An answer that does not count; the text holds its beginning."""


def measure(
    url: str, key: str, body: Callable[[int], bytes], *, pid: int, seconds: float, connections: int
) -> Result:
    """Asks POST `url`/chat/completions as fast as it is answered. Raises LoadError unless each answer is 200.

    body: of request number n. pid: the process whose processor time counts.
    """
    return uvloop.run(_measure(url, key, body, pid, seconds, connections))


async def _measure(
    url: str, key: str, body: Callable[[int], bytes], pid: int, seconds: float, connections: int
) -> Result:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    head = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: "
    ).encode()
    load = _Load(head, body)
    lines = [(await loop.create_connection(lambda: _Line(load), host, port))[1] for _ in range(connections)]
    await asyncio.sleep(WARM_UP_S)
    process = psutil.Process(pid)
    before = process.cpu_times()
    load.latencies.clear()
    load.firsts.clear()
    began = time.perf_counter()
    await asyncio.wait({load.failed}, timeout=seconds)
    latencies, elapsed = sorted(load.latencies), time.perf_counter() - began
    after = process.cpu_times()
    load.is_over = True
    async with asyncio.timeout(LONGEST_ANSWER_S):
        await asyncio.wait({line.closed for line in lines})
    if load.failed.done():
        load.failed.result()
    spent_s = after.user + after.system - before.user - before.system
    return Result(
        requests_per_s=len(latencies) / elapsed,
        cpu_us=spent_s / len(latencies) * 1e6,
        median_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
        first_ms=statistics.median(load.firsts) * 1000,
    )


class _Load:
    """What the connections share."""

    def __init__(self, head: bytes, body: Callable[[int], bytes]) -> None:
        self._head = head
        self._body = body
        self._number = 0
        self.is_over = False
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes:
        self._number += 1
        body = self._body(self._number)
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def fail(self, what: str) -> None:
        self.is_over = True
        if not self.failed.done():
            self.failed.set_exception(LoadError(what))


class _Line(asyncio.Protocol):
    """A connection: one request, its whole answer, the next."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._began = 0.0
        self._has_begun = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        self._received = b""
        self._has_begun = False
        self._began = time.perf_counter()
        self._transport.write(self._load.next_request())

    def data_received(self, data: bytes) -> None:
        self._received += data
        end_of_head = self._received.find(b"\r\n\r\n")
        if end_of_head < 0:
            return
        if not self._has_begun and len(self._received) > end_of_head + 4:
            self._has_begun = True
            self._load.firsts.append(time.perf_counter() - self._began)
        if not self._received.startswith(b"HTTP/1.1 200"):
            self._load.fail(f"{self._received[:600]!r}")
        elif length := _LENGTH.search(self._received, 0, end_of_head):
            if len(self._received) < end_of_head + 4 + int(length[1]):
                return
        elif not self._received.endswith(b"0\r\n\r\n"):
            return
        self._load.latencies.append(time.perf_counter() - self._began)
        if self._load.is_over:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, _failure: Exception | None) -> None:
        if not self._load.is_over:
            self._load.fail("the connection was closed")
        self.closed.set_result(None)
