"""The gateway that joins prompts of different callers beside the one that does not: the same program twice.

    python -m benchmarks.batching [--seconds 3] [--rounds 5] [--connections 64] [--delay-ms 20]

First a lone caller, who asks one prompt after another of an upstream that answers at once, so that any wait
of the gateway's own shows. Then many callers of an upstream that takes its time, as one does. The upstream is
the stand-in, which keeps its calls; it shares this machine's cores with what is measured. The gateways take
turns, and the middle of their rounds counts.
"""

import argparse
import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import load
from benchmarks.gateway import base_url, surroundings
from benchmarks.load import Result
from tests.app.conftest import OPENAI_KEY, StandIn
from tests.servers import running

ENDPOINT = "/completions"
MODEL = "gpt-3.5-turbo-instruct"
MOST_PROMPTS = {"each alone": "1", "joined": "20"}


@dataclass(frozen=True)
class Turn:
    """What came of one. prompts: of a call upstream, on average."""

    result: Result
    prompts: float


def body(number: int) -> bytes:
    prompt = f"question {number} of {time.time_ns()}"
    return json.dumps({"model": MODEL, "prompt": prompt, "max_tokens": 8}).encode()


def middle(turns: list[Turn]) -> Turn:
    result = load.middle([turn.result for turn in turns])
    return Turn(result, statistics.median(turn.prompts for turn in turns))


def compare(rounds: int, measure: Callable[[str], Result], stand_in: StandIn) -> dict[str, Turn]:
    found: dict[str, list[Turn]] = {name: [] for name in MOST_PROMPTS}
    for _ in range(rounds):
        for name, turns in found.items():
            stand_in.control("DELETE", "/calls")
            result = measure(name)
            turns.append(Turn(result, _prompts(stand_in)))
    return {name: middle(turns) for name, turns in found.items()}


def _prompts(stand_in: StandIn) -> float:
    prompts = [json.loads(call["body"])["prompt"] for call in stand_in.calls()["last"]]
    return statistics.mean(len(prompt) if isinstance(prompt, list) else 1 for prompt in prompts)


def report(title: str, turns: dict[str, Turn]) -> None:
    print(f"{title:24}{'requests/s':>11}{'median ms':>11}{'p99 ms':>9}{'cpu us':>9}{'prompts / call':>16}")
    for name, turn in turns.items():
        one = turn.result
        print(
            f"{name:24}{one.requests_per_s:11.0f}{one.median_ms:11.2f}{one.p99_ms:9.2f}{one.cpu_us:9.0f}"
            f"{turn.prompts:16.1f}"
        )
    alone, joined = (turns[name].result for name in MOST_PROMPTS)
    print(
        f"{'joined / alone':24}{joined.requests_per_s / alone.requests_per_s:10.2f}x"
        f"{joined.median_ms / alone.median_ms:10.2f}x{joined.p99_ms / alone.p99_ms:8.2f}x"
        f"{joined.cpu_us / alone.cpu_us:8.2f}x\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batching")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a turn is (3)")
    parser.add_argument("--rounds", type=int, default=5, help="how many turns each has (5)")
    parser.add_argument("--connections", type=int, default=64, help="callers at the same time (64)")
    parser.add_argument(
        "--delay-ms", type=int, default=20, help="what the upstream takes for many callers (20)"
    )
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with ExitStack() as stack:
        around = stack.enter_context(surroundings())
        program = stack.enter_context(running("local.stand_in", "--key", OPENAI_KEY))
        stand_in = StandIn(program, base_url(program).removesuffix("/v1"))
        gateways = {}
        for name, most_prompts in MOST_PROMPTS.items():
            environment = around.environment(f"{stand_in.url}/v1")
            environment["GATEWAY_BATCH_PROMPTS"] = most_prompts
            gateways[name] = stack.enter_context(running("app", environment=environment))
        urls = {name: base_url(gateway) for name, gateway in gateways.items()}

        def measure(connections: int) -> Callable[[str], Result]:
            return lambda name: load.measure(
                urls[name],
                around.key,
                body,
                pid=gateways[name].popen.pid,
                seconds=given.seconds,
                connections=connections,
                endpoint=ENDPOINT,
            )

        report("a lone caller", compare(given.rounds, measure(1), stand_in))
        stand_in.behave(delay_ms=given.delay_ms)
        report(f"{given.connections} callers", compare(given.rounds, measure(given.connections), stand_in))
    return 0


if __name__ == "__main__":
    sys.exit(main())
