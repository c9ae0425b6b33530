"""The gateway beside a bare forwarder and, when there is one, LiteLLM's proxy: one worker each, one run.

    python -m benchmarks.gateway [--litellm VENV] [--profile] [--json FILE]
                                 [--seconds 3] [--rounds 3] [--connections 32]

The bare forwarder is raw ASGI on uvicorn with aiohttp and nothing between: what the same parts cost without a
gateway. The gateway checks the key, takes from limits and budget in Valkey, looks into the response cache
(with a request that is repeatable and always new, so that the answer is kept as well), validates, forwards,
settles, writes the ledger, and logs; its hits are the same request again and again. LiteLLM checks its one
key and forwards, and the second time looks into its cache in Valkey and keeps the answer; it has no limit and
no budget to look at. The upstream is Envoy, which answers at once, and so is what takes the ledger's
transactions: moto's table is the slower one.

Load, upstream and Valkey share this machine's cores with what is measured, which hides part of the difference
in requests a second; the processor time of the measured process does not depend on them, and its ratio is
what a worker's capacity goes by. Targets take turns, and the middle of their rounds counts. A turn with
errors is repeated, and errors that remain are counted. `benchmarks.chart` draws what --json keeps.
"""

import argparse
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from moto.server import ThreadedMotoServer

from app.limits import Limits, limits_attributes
from benchmarks import litellm, load, profile, upstream
from benchmarks.load import Result
from benchmarks.upstream import Answering
from tests.app import conftest as parts
from tests.servers import Program, ValkeyServer, running

LIMITS = Limits(
    requests_per_minute=10_000_000,
    tokens_per_minute=10_000_000_000,
    spend_limit_micro_usd=1_000_000_000_000,
)
"""Of the key's project and of its organization, none ever reached; the key has a limit of its own too."""

PROFILED_FUNCTIONS = 20
LEAST_SHARE = 0.01

FORWARDS = "gateway, not cacheable"
HITS = "gateway, hits"
UPSTREAM = "the upstream itself"


@dataclass(frozen=True)
class Target:
    """What is measured. cacheable: each request is repeatable and new, so it is looked up and kept; a hit:
    always the same, so it is looked up and found."""

    name: str
    url: str
    key: str
    pid: int
    model: str = upstream.MODEL
    cacheable: bool = False
    hit: bool = False
    stream: bool = False

    @property
    def kind(self) -> tuple[bool, bool, bool]:
        """Targets of a kind are asked the same."""
        return self.cacheable, self.hit, self.stream

    def body(self, number: int) -> bytes:
        question = "the question" if self.hit else f"question {number} of {time.time_ns()}"
        fields: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "max_completion_tokens": 8,
        }
        if self.cacheable:
            fields["temperature"] = 0
        if self.stream:
            fields["stream"] = True
        return json.dumps(fields).encode()


@dataclass(frozen=True)
class Surroundings:
    """What every gateway here is started among."""

    aws: parts.Aws
    valkey: ValkeyServer
    key: str
    answering: Answering

    def environment(self, upstream_url: str) -> dict[str, str]:
        return {
            **parts.environment(self.aws, self.valkey.port, upstream_url, self.aws.new_queue()),
            "AWS_ENDPOINT_URL_DYNAMODB": self.answering.dynamodb_url,
            "GATEWAY_PING_INTERVAL_S": "15",
        }


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    with ExitStack() as stack:
        valkey = ValkeyServer("benchmark")
        stack.callback(valkey.stop)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        aws = parts.prepare(f"http://{host}:{port}", valkey)
        key = aws.new_key(requests_per_minute=10_000_000)
        for pk, sk in ((f"PROJECT#{parts.PROJECT}", "PROJECT"), (f"ORG#{parts.ORGANIZATION}", "ORG")):
            item = {"pk": {"S": pk}, "sk": {"S": sk}, "status": {"S": "active"}, **limits_attributes(LIMITS)}
            aws.client("dynamodb").put_item(TableName=parts.TABLE, Item=item)
        yield Surroundings(aws, valkey, key, stack.enter_context(upstream.answering(port)))


@contextmanager
def targets(around: Surroundings, litellm_venv: Path | None) -> Iterator[list[Target]]:
    """Starts everything that is measured. Streams have an upstream, so processes, of their own."""
    upstream_url, stream_url = around.answering.upstream_url, around.answering.stream_url
    with ExitStack() as stack:

        def served(
            module: str, *arguments: str, environment: dict[str, str] | None = None
        ) -> tuple[str, int]:
            program = stack.enter_context(running(module, *arguments, environment=environment))
            return base_url(program), program.popen.pid

        bare, bare_streams = (served("benchmarks.bare_forwarder", url) for url in (upstream_url, stream_url))
        ours, our_streams = (
            served("app", environment=around.environment(url)) for url in (upstream_url, stream_url)
        )
        listed = [
            Target("bare forwarder", bare[0], parts.OPENAI_KEY, bare[1]),
            Target(FORWARDS, ours[0], around.key, ours[1]),
            Target("gateway, looked up and kept", ours[0], around.key, ours[1], cacheable=True),
            Target(HITS, ours[0], around.key, ours[1], cacheable=True, hit=True),
            Target(
                "bare forwarder, streams", bare_streams[0], parts.OPENAI_KEY, bare_streams[1], stream=True
            ),
            Target("gateway, streams", our_streams[0], around.key, our_streams[1], stream=True),
            Target(
                "gateway, streams kept",
                our_streams[0],
                around.key,
                our_streams[1],
                cacheable=True,
                stream=True,
            ),
        ]
        if litellm_venv is not None:
            proxy = litellm.proxy(litellm_venv, upstream_url, stream_url)
            url, pid = stack.enter_context(proxy)
            cached = litellm.proxy(litellm_venv, upstream_url, stream_url, around.valkey)
            cached_url, cached_pid = stack.enter_context(cached)
            streams = f"{upstream.MODEL}-stream"
            listed += [
                Target("LiteLLM", url, litellm.KEY, pid),
                Target("LiteLLM, looked up and kept", cached_url, litellm.KEY, cached_pid, cacheable=True),
                Target("LiteLLM, streams", url, litellm.KEY, pid, streams, stream=True),
            ]
        yield listed


def base_url(program: Program) -> str:
    return f"http://127.0.0.1:{program.said('serving')['port']}/v1"


def compare(listed: list[Target], rounds: int, measure: Callable[[Target], Result]) -> dict[Target, Result]:
    """The middle of each target's rounds; in a round every target has its turn."""
    found: dict[Target, list[Result]] = {target: [] for target in listed}
    for number in range(rounds):
        for target in listed:
            print(f"round {number + 1} of {rounds}: {target.name}", file=sys.stderr)
            found[target].append(measure(target))
    return {target: load.middle(results) for target, results in found.items()}


def report(results: dict[Target, Result]) -> None:
    bare = {target.stream: result for target, result in results.items() if target.name.startswith("bare")}
    peer = {target.kind: result for target, result in results.items() if target.name.startswith("LiteLLM")}
    print(
        f"{'':30}{'requests/s':>11}{'median ms':>11}{'p99 ms':>9}{'cpu us':>9}"
        f"{'errors':>8}{'bare / it':>11}{'cpu x bare':>12}{'it / LiteLLM':>14}"
    )
    for target, result in results.items():
        beside = bare[target.stream]
        beaten = peer.get(target.kind)
        times = f"{result.requests_per_s / beaten.requests_per_s:13.1f}x" if beaten else ""
        print(
            f"{target.name:30}{result.requests_per_s:11.0f}{result.median_ms:11.2f}{result.p99_ms:9.2f}"
            f"{result.cpu_us:9.0f}{result.errors:8.0f}{beside.requests_per_s / result.requests_per_s:10.2f}x"
            f"{result.cpu_us / beside.cpu_us:11.2f}x{times}"
        )

    rates = {target.name: result.requests_per_s for target, result in results.items()}
    print(f"\nA hit is {rates[HITS] / rates[FORWARDS]:.1f} times a forward in requests a second.")


def keep(path: Path, results: dict[Target, Result]) -> None:
    """The figures and what they depend on, as JSON."""
    kept = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": " ".join(["python -m benchmarks.gateway", *sys.argv[1:]]),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "targets": {target.name: asdict(result) for target, result in results.items()},
    }
    path.write_text(json.dumps(kept, indent=2) + "\n")


def report_first_bytes(results: dict[Target, Result]) -> None:
    """Of streams, one at a time: what a target adds to the upstream's own first byte."""
    own = next(result.first_ms for target, result in results.items() if target.name == UPSTREAM)
    print("\nThe first byte of a stream's body, one at a time, median:")
    for target, result in results.items():
        print(f"{target.name:30}{result.first_ms:8.2f} ms{result.first_ms - own:+8.2f} ms")


def profiled(around: Surroundings, measure: Callable[[Target], Result]) -> None:
    """Runs the gateway once more under cProfile and prints where its time goes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "profile")
        environment = around.environment(around.answering.upstream_url)
        with running("benchmarks.profiled", str(path), environment=environment) as gateway:
            measure(Target("profiled", base_url(gateway), around.key, gateway.popen.pid, cacheable=True))
        print(
            "\nWhere the gateway's time goes, as cProfile counts it (calls weigh more than they do without):"
        )
        for name, share in profile.by_package(path):
            if share >= LEAST_SHARE:
                print(f"{share:7.1%}  {name}")
        print()
        for name, share in profile.by_function(path, PROFILED_FUNCTIONS):
            print(f"{share:7.1%}  {name}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway")
    parser.add_argument("--litellm", type=Path, metavar="VENV", help="a virtual environment that has LiteLLM")
    parser.add_argument("--profile", action="store_true", help="say where the gateway's time goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a target's turn is (3)")
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each has (3)")
    parser.add_argument("--connections", type=int, default=32, help="requests in flight (32)")
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    def measure(target: Target, connections: int = given.connections) -> Result:
        return load.measure(
            target.url,
            target.key,
            target.body,
            pid=target.pid,
            seconds=given.seconds,
            connections=connections,
        )

    with surroundings() as around:
        with targets(around, given.litellm) as listed:
            results = compare(listed, given.rounds, measure)
            report(results)
            if given.json is not None:
                keep(given.json, results)
            streams = [target for target in listed if target.stream]
            itself = Target(UPSTREAM, around.answering.stream_url, around.key, os.getpid(), stream=True)
            alone = compare([itself, *streams], given.rounds, lambda target: measure(target, 1))
            report_first_bytes(alone)
        if given.profile:
            profiled(around, measure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
