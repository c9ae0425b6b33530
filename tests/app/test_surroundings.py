"""The failure table's last rows: a full disk, a wrong clock, more requests than the process takes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.app.conftest import Aws, Gateway, StandIn, StartGateway, environment
from tests.app.test_failures import ask, code, seconds
from tests.servers import ROOT, ValkeyServer, accepts, free_port, until

MAX_IN_FLIGHT = 1000
DAY_S = 24 * 3600

SKEWED_CLOCK = """
import datetime, os, time
skew_s = float(os.environ["CLOCK_SKEW_S"])
right_time = time.time
time.time = lambda: right_time() + skew_s
class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)
datetime.datetime = Skewed
"""


@pytest.fixture
def with_a_full_disk(aws: Aws, valkey: ValkeyServer, stand_in: StandIn) -> Iterator[Gateway]:
    """A gateway whose every write to its log fails, and that may not write any file."""
    port = free_port()
    queue_url = aws.new_queue()
    given = environment(aws, valkey.port, f"{stand_in.url}/v1", queue_url)
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
                **given,
                "GATEWAY_PORT": str(port),
            },
            stdout=full,
            stderr=full,
        )
    try:
        until(lambda: accepts(port), 20, "the gateway")
        url = f"http://127.0.0.1:{port}"
        yield Gateway(process, url, port, aws.new_key(), queue_url)  # type: ignore[arg-type]
    finally:
        process.kill()
        process.wait()


def test_disk_full_requests_go_on_without_a_log_and_the_stop_is_clean(with_a_full_disk: Gateway) -> None:
    gateway = with_a_full_disk
    began = time.monotonic()
    for number in range(200):
        assert ask(gateway, stream=bool(number % 2), max_tokens=1).status_code == 200
    assert seconds(began) < 30
    process = gateway.program
    assert isinstance(process, subprocess.Popen)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_clock_skew_changes_neither_a_limit_nor_its_waiting_time(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SKEWED_CLOCK)
    assert stand_in.calls()["total"] == 0

    def skewed(by_s: int) -> dict[str, str]:
        return {"PYTHONPATH": str(tmp_path), "CLOCK_SKEW_S": str(by_s)}

    key = aws.new_key(requests_per_minute=6)
    with start_gateway(**skewed(-40 * DAY_S)) as slow, start_gateway(**skewed(40 * DAY_S)) as fast:
        answers = [ask(gateway, key) for _ in range(4) for gateway in (slow, fast)]
        assert Counter(answer.status_code for answer in answers) == {200: 6, 429: 2}
        for answer in answers[-2:]:
            assert code(answer)[1] == "rate_limit_exceeded"
            assert 0 < int(answer.headers["retry-after-ms"]) <= 10_000
        line = fast.program.said("request", request_id=answers[1].headers["x-request-id"])
        # The skew was real, and durations are none of its business.
        assert line["time"] > time.strftime("%Y-%m-%d", time.gmtime(time.time() + 39 * DAY_S))
        assert 0 <= line["upstream_ms"] <= line["total_ms"] < 5000


async def test_more_requests_than_the_process_takes_are_told_to_come_again(
    gateway: Gateway, stand_in: StandIn
) -> None:
    stand_in.behave(delay_ms=60_000)
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]})
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()

    async def start() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request)
        return reader, writer

    running = [await start() for _ in range(MAX_IN_FLIGHT)]
    try:
        await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == MAX_IN_FLIGHT, 20.0)
        began = time.monotonic()
        refused = await asyncio.gather(*(asyncio.to_thread(ask, gateway) for _ in range(8)))
        assert {code(answer) for answer in refused} == {(503, "overloaded")}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert seconds(began) < 5.0
        health = await asyncio.to_thread(httpx2.get, f"{gateway.url}/healthz")
        assert health.status_code == 200, "ECS must not replace a task for being busy"
        assert stand_in.calls()["total"] == MAX_IN_FLIGHT, "nothing of it reached the upstream"
    finally:
        for _, writer in running:
            writer.transport.abort()
    await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 0, 20.0)
    stand_in.reset()
    assert (await asyncio.to_thread(ask, gateway)).status_code == 200
