"""Start, health, and the graceful stop of the process."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import httpx2
import openai
import pytest

from tests.app.conftest import Gateway, StandIn, StartGateway
from tests.servers import ROOT, until

MESSAGES: Any = [{"role": "user", "content": "tell me"}]


def test_health_and_readiness(gateway: Gateway, stand_in: StandIn) -> None:
    assert httpx2.get(f"{gateway.url}/healthz").json() == {"status": "serving"}
    answer = httpx2.get(f"{gateway.url}/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    checks = answer.json()["checks"]
    assert set(checks) == {"table", "cache", "cache_secret", "openai_key"}
    assert all(check["ok"] for check in checks.values())
    assert httpx2.head(f"{gateway.url}/healthz").status_code == 200
    assert stand_in.calls()["total"] == 0


def test_the_containers_health_check_tells_a_serving_gateway_from_none(gateway: Gateway) -> None:
    def check(port: int) -> int:
        return subprocess.run(
            [sys.executable, "-m", "app.healthcheck"],
            cwd=ROOT,
            env={"GATEWAY_PORT": str(port)},
            capture_output=True,
            check=False,
        ).returncode

    assert check(gateway.port) == 0
    assert check(1) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_stops_at_once_with_0(start_gateway: StartGateway, number: int) -> None:
    with start_gateway() as gateway:
        began = time.monotonic()
        gateway.program.send_signal(number)
        assert gateway.program.ended() == 0
        assert time.monotonic() - began < 2.0
        assert b'"event":"stopped"' in gateway.program.everything()


def test_a_running_stream_is_finished_while_health_fails_first(
    start_gateway: StartGateway, stand_in: StandIn
) -> None:
    stand_in.behave(chunk_delay_ms=100)
    with start_gateway() as gateway, httpx2.Client(base_url=gateway.url) as balancer:
        assert balancer.get("/healthz").status_code == 200
        stream = gateway.sdk().chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, max_tokens=15
        )
        chunks = iter(stream)
        next(chunks)
        gateway.program.send_signal(signal.SIGTERM)
        gateway.program.said("stopping")
        # A balancer that still sends requests is told no by the health check and yet served.
        health = balancer.get("/healthz")
        assert (health.status_code, health.json()) == (503, {"status": "draining"})
        assert balancer.get("/readyz").json()["status"] == "draining"
        late = balancer.get("/v1/models", headers={"authorization": f"Bearer {gateway.key}"})
        assert (late.status_code, late.headers["connection"]) == (200, "close")
        assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "length"
        assert gateway.program.ended() == 0
        said = gateway.program.everything()
        assert b'"error":null' in said
        assert b"Traceback" not in said


def test_a_stop_under_load_loses_no_request(start_gateway: StartGateway, stand_in: StandIn) -> None:
    stand_in.behave(chunk_delay_ms=40)

    async def ask(client: openai.AsyncOpenAI, stream: bool) -> str:
        request = {"model": "gpt-4o-mini", "messages": MESSAGES, "max_tokens": 15}
        if not stream:
            completion: Any = await client.chat.completions.create(**request)
            return str(completion.choices[0].finish_reason)
        chunks: Any = await client.chat.completions.create(**request, stream=True)
        return str([chunk.choices[0].finish_reason async for chunk in chunks][-1])

    with start_gateway(GATEWAY_STOP_TIMEOUT_S="8") as gateway:

        async def ask_all() -> list[str]:
            async with gateway.async_sdk() as client:
                asks = [asyncio.create_task(ask(client, number % 4 > 0)) for number in range(40)]
                await asyncio.to_thread(until, lambda: stand_in.calls()["running"] >= 30)
                gateway.program.send_signal(signal.SIGTERM)
                return await asyncio.gather(*asks)

        assert asyncio.run(ask_all()) == ["length"] * 40
        assert gateway.program.ended() == 0
        lines = [json.loads(line) for line in gateway.program.output]
        served = [line for line in lines if line["event"] == "request"]
        assert [(line["status"], line["error"]) for line in served] == [(200, None)] * 40
        assert lines[-1]["event"] == "stopped", "what was logged last is written too"


def test_a_stream_that_outlasts_the_stop_timeout_is_told_so(
    start_gateway: StartGateway, stand_in: StandIn
) -> None:
    stand_in.behave(chunk_delay_ms=150)
    with start_gateway(GATEWAY_STOP_TIMEOUT_S="2") as gateway:
        received: list[bytes] = []

        def read() -> None:
            with httpx2.stream(
                "POST",
                f"{gateway.url}/v1/chat/completions",
                json={"model": "gpt-4o-mini", "messages": MESSAGES * 50, "stream": True, "n": 20},
                headers={"authorization": f"Bearer {gateway.key}"},
            ) as answer:
                received.extend(answer.iter_bytes())

        reader = threading.Thread(target=read)
        reader.start()
        until(lambda: received)
        began = time.monotonic()
        gateway.program.send_signal(signal.SIGTERM)
        assert gateway.program.ended() == 0
        assert time.monotonic() - began < 2.0, "SIGKILL comes at the stop timeout"
        reader.join(5)
        text = b"".join(received)
        assert b'"code":"shutting_down"' in text
        assert b"[DONE]" not in text


def test_a_second_signal_ends_it_at_once(start_gateway: StartGateway) -> None:
    with start_gateway(GATEWAY_STOP_TIMEOUT_S="60") as gateway, httpx2.Client(base_url=gateway.url) as client:
        client.get("/healthz")
        gateway.program.send_signal(signal.SIGTERM)
        gateway.program.said("stopping")
        gateway.program.send_signal(signal.SIGTERM)
        began = time.monotonic()
        gateway.program.ended()
        assert time.monotonic() - began < 2.0
