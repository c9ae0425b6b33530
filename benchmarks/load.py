"""Load from one process that costs little: bare HTTP/1.1 on uvloop, a fixed number of requests in flight."""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import cast
from urllib.parse import urlsplit

import psutil
import uvloop

WARM_UP_S = 1.0
LONGEST_ANSWER_S = 30.0
TURNS_AT_MOST = 3
"""Until one is without an error: a load of this kind can hold up what it shares the machine with."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """What a target did. cpu_us: processor time of its process for a request, in microseconds. first_ms: the
    median time to the first byte of a body. errors: answers other than 200, which are in no other figure but
    the processor time."""

    requests_per_s: float
    cpu_us: float
    median_ms: float
    p99_ms: float
    first_ms: float
    errors: float = 0


class LoadError(Exception):
    """Nothing was measured; the text says why, or holds the beginning of an answer other than 200."""


def middle(results: Sequence[Result]) -> Result:
    """Of each figure the middle one; of errors the sum."""
    medians = {
        field.name: statistics.median(getattr(result, field.name) for result in results)
        for field in fields(Result)
    }
    return Result(**{**medians, "errors": sum(result.errors for result in results)})


def measure(
    url: str,
    key: str,
    body: Callable[[int], bytes],
    *,
    pid: int,
    seconds: float,
    connections: int,
    endpoint: str = "/chat/completions",
) -> Result:
    """Asks POST `url``endpoint` as fast as it is answered, and repeats a turn with errors.

    Raises LoadError when each time nothing was answered with 200, or a connection was lost. body: of request
    number n. pid: the process whose processor time counts.
    """
    for turn in range(1, TURNS_AT_MOST + 1):
        try:
            result = uvloop.run(_measure(url + endpoint, key, body, pid, seconds, connections))
        except LoadError as failed:
            if turn == TURNS_AT_MOST:
                raise
            print(f"again, because {failed}", file=sys.stderr)
            continue
        if not result.errors:
            break
        if turn < TURNS_AT_MOST:
            print(f"again, because of {result.errors:.0f} errors", file=sys.stderr)
    return result


async def _measure(
    url: str, key: str, body: Callable[[int], bytes], pid: int, seconds: float, connections: int
) -> Result:
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: "
    ).encode()
    load = _Load(head, body)
    lines = [(await loop.create_connection(lambda: _Line(load), host, port))[1] for _ in range(connections)]
    await asyncio.sleep(WARM_UP_S)
    process = psutil.Process(pid)
    before = process.cpu_times()
    load.latencies.clear()
    load.firsts.clear()
    load.refusals = 0
    began = time.perf_counter()
    await asyncio.wait({load.failed}, timeout=seconds)
    latencies, elapsed = sorted(load.latencies), time.perf_counter() - began
    firsts, refusals = load.firsts[:], load.refusals
    after = process.cpu_times()
    load.is_over = True
    async with asyncio.timeout(LONGEST_ANSWER_S):
        await asyncio.wait({line.closed for line in lines})
    if load.failed.done():
        load.failed.result()
    if not latencies:
        raise LoadError(load.refusal or "no answer came in time")
    spent_s = after.user + after.system - before.user - before.system
    return Result(
        requests_per_s=len(latencies) / elapsed,
        cpu_us=spent_s / len(latencies) * 1e6,
        median_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
        first_ms=statistics.median(firsts) * 1000,
        errors=refusals,
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
        self.refusals = 0
        self.refusal = ""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes:
        self._number += 1
        body = self._body(self._number)
        return b"%s%d\r\n\r\n%s" % (self._head, len(body), body)

    def refused(self, answer: bytes) -> None:
        self.refusals += 1
        self.refusal = f"{answer[:600]!r}"

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
        if length := _LENGTH.search(self._received, 0, end_of_head):
            if len(self._received) < end_of_head + 4 + int(length[1]):
                return
        elif not self._received.endswith(b"0\r\n\r\n"):
            return
        if self._received.startswith(b"HTTP/1.1 200"):
            self._load.latencies.append(time.perf_counter() - self._began)
        else:
            self._load.refused(self._received)
        if self._load.is_over:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, _failure: Exception | None) -> None:
        if not self._load.is_over:
            self._load.fail("the connection was closed")
        self.closed.set_result(None)
