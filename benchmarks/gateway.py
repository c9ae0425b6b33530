"""The gateway beside a bare forwarder: requests a second of one worker, same client, same upstream, one run.

    python -m benchmarks.gateway [--seconds 3] [--connections 32]

The bare forwarder is raw ASGI on uvicorn with aiohttp and nothing between: what the same parts cost without a
gateway. The gateway checks the key, takes from the limit in Valkey, looks into the response cache (with a
request that is repeatable and always new, so that the answer is kept as well), validates, forwards, and logs.
Load, upstream and Valkey share this machine's cores with what is measured, which hides part of the difference
in requests a second; the processor time of the measured process does not depend on them, and its ratio is
what a worker's capacity goes by.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import aiohttp
import psutil
from moto.server import ThreadedMotoServer

from tests.app import conftest as parts
from tests.servers import ValkeyServer, running

MODEL = "gpt-4o-mini"


@dataclass(frozen=True)
class Target:
    """What is measured. cacheable: each request is repeatable and new, so it is looked up and kept."""

    name: str
    url: str
    key: str
    pid: int
    cacheable: bool = False
    stream: bool = False


@dataclass(frozen=True)
class Result:
    """cpu_us: processor time of the measured process for a request, in microseconds."""

    requests_per_s: float
    cpu_us: float
    median_ms: float
    p99_ms: float


async def measure(target: Target, seconds: float, connections: int) -> Result:
    """Keeps `connections` requests in flight for a while. Raises RuntimeError when one does not succeed."""
    latencies: list[float] = []
    numbers = iter(range(10**9))
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def caller(until: float) -> None:
            while time.perf_counter() < until:
                began = time.perf_counter()
                async with session.post(
                    f"{target.url}/v1/chat/completions",
                    data=request(target, next(numbers)),
                    headers={"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"},
                ) as answer:
                    body = await answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"{target.name} answered {answer.status}: {body[:200]!r}")
                latencies.append(time.perf_counter() - began)

        await asyncio.gather(*(caller(time.perf_counter() + 0.5) for _ in range(connections)))
        latencies.clear()
        process = psutil.Process(target.pid)
        before = process.cpu_times()
        began = time.perf_counter()
        await asyncio.gather(*(caller(began + seconds) for _ in range(connections)))
        elapsed = time.perf_counter() - began
        after = process.cpu_times()
    spent_s = after.user + after.system - before.user - before.system
    latencies.sort()
    return Result(
        requests_per_s=len(latencies) / elapsed,
        cpu_us=spent_s / len(latencies) * 1e6,
        median_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
    )


def request(target: Target, number: int) -> bytes:
    body: dict[str, object] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"question {number} of {time.time_ns()}"}],
        "max_completion_tokens": 8,
    }
    if target.cacheable:
        body["temperature"] = 0
    if target.stream:
        body["stream"] = True
    return json.dumps(body).encode()


@contextmanager
def targets() -> Iterator[list[Target]]:
    """Starts everything that is measured."""
    with ExitStack() as stack:
        valkey = ValkeyServer("benchmark")
        stack.callback(valkey.stop)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        aws = parts.prepare(f"http://{host}:{port}", valkey)
        upstream = stack.enter_context(running("local.stand_in"))
        upstream_url = f"http://127.0.0.1:{upstream.said('serving')['port']}"
        bare = stack.enter_context(running("benchmarks.bare_forwarder", f"{upstream_url}/v1"))
        bare_url = f"http://127.0.0.1:{bare.said('serving')['port']}"
        environment = parts.environment(aws, valkey.port, f"{upstream_url}/v1")
        gateway = stack.enter_context(running("app", environment=environment))
        url = f"http://127.0.0.1:{gateway.said('serving')['port']}"
        key = aws.new_key(requests_per_minute=10_000_000)
        yield [
            Target("bare forwarder", bare_url, parts.OPENAI_KEY, bare.popen.pid),
            Target("gateway: key, limit", url, key, gateway.popen.pid),
            Target("gateway: key, limit, cache lookup", url, key, gateway.popen.pid, cacheable=True),
            Target("bare forwarder, streams", bare_url, parts.OPENAI_KEY, bare.popen.pid, stream=True),
            Target("gateway, streams", url, key, gateway.popen.pid, stream=True),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each is measured (3)")
    parser.add_argument("--connections", type=int, default=32, help="requests in flight (32)")
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    base: dict[bool, Result] = {}
    with targets() as measured:
        print(f"{'':36}{'requests/s':>11}{'median ms':>11}{'p99 ms':>9}{'cpu us':>9}{'cpu x bare':>12}")
        for target in measured:
            result = asyncio.run(measure(target, arguments.seconds, arguments.connections))
            bare = base.setdefault(target.stream, result)
            print(
                f"{target.name:36}{result.requests_per_s:11.0f}{result.median_ms:11.2f}{result.p99_ms:9.2f}"
                f"{result.cpu_us:9.0f}{result.cpu_us / bare.cpu_us:11.2f}x"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
