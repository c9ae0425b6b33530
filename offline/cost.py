"""Prints what a stack costs a month, without deploying it: `make cost STACK=staging`.

    python -m offline.cost staging --requests 1000000 --config nat_gateways=per-zone

The stack's program runs offline and its resources are priced; so are the same stack's with other ways out to
the internet, so that the choice can be seen.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import get_args

from infra.config import ConfigError, load_file
from infra.config_types import NatGateways
from offline.estimate import HOURS, Estimate, Item, Traffic, estimate, most_tasks
from offline.graph import ProgramError, record
from offline.prices import Prices, PricesFileError, UnknownPriceError, prices_of

WAYS_OUT: Sequence[Mapping[str, str]] = [
    {"nat_gateways": choice, "interface_endpoints": endpoints}
    for choice in get_args(NatGateways)
    for endpoints in ("false", "true")
    if (choice, endpoints) != ("none", "false")
]

NOT_COUNTED = (
    "Not counted: free tiers, discounts, taxes, data between zones, Container Insights, OpenAI's bill."
)


@dataclass(frozen=True)
class Way:
    """A choice of the way out, and what the stack costs with it, or why the config refuses it."""

    config: Mapping[str, str]
    cost: Estimate | None
    refusal: str = ""


@dataclass(frozen=True)
class Report:
    """All that is printed. at_most: the same items with as many tasks as autoscaling starts."""

    stack: str
    prices: Prices
    traffic: Traffic
    at_least: Estimate
    at_most: Estimate
    ways: Sequence[Way]


def report(stack: str, traffic: Traffic, overrides: Mapping[str, str]) -> Report:
    """Price a stack. Raises ConfigError, ProgramError and UnknownPriceError."""
    prices = prices_of(load_file(stack, overrides).region)
    with ThreadPoolExecutor(2) as programs:
        whole = programs.submit(record, stack, overrides)
        ways = list(
            programs.map(lambda way: _way(stack, prices, traffic, {**overrides, **way}, way), WAYS_OUT)
        )
    graph = whole.result().resources
    return Report(
        stack,
        prices,
        traffic,
        estimate(graph, prices, traffic),
        estimate(graph, prices, traffic, most_tasks(graph)),
        ways,
    )


def _way(
    stack: str, prices: Prices, traffic: Traffic, overrides: Mapping[str, str], way: Mapping[str, str]
) -> Way:
    try:
        return Way(way, estimate(record(stack, overrides).resources, prices, traffic))
    except ProgramError as error:
        # The first line counts the problems, the second is a key, the third its reason.
        return Way(way, None, " ".join(str(error).splitlines()[2:3]).strip())


def lines(found: Report) -> Iterator[str]:
    """The report as text."""
    cost = found.at_least
    yield f"{found.stack} in {found.prices.region}, a month of {HOURS} hours, in US dollars"
    yield ""
    yield from _table("runs anyway", [i for i in cost.items if not i.with_traffic], cost.fixed_usd)
    yield ""
    requests = f"comes with {found.traffic.requests:,} requests"
    yield from _table(requests, [i for i in cost.items if i.with_traffic], cost.traffic_usd)
    yield ""
    yield _row("together, at the fewest tasks", "", cost.total_usd)
    yield _row(f"if {found.at_most.tasks} tasks ran all month", "", found.at_most.total_usd)
    yield ""
    yield "The way out, everything else as above"
    for way in found.ways:
        choice = ", ".join(f"{key}={value}" for key, value in way.config.items())
        yield f"  {choice:<79} {way.cost.total_usd:>10,}" if way.cost else f"  {choice}: {way.refusal}"
    yield from _endpoint_advice(found.prices)
    yield ""
    yield f"Prices: {found.prices.provenance}."
    yield NOT_COUNTED
    if cost.unpriced:
        yield f"Without a price (add it to offline/prices.yaml): {', '.join(sorted(cost.unpriced))}"


def _endpoint_advice(prices: Prices) -> Iterator[str]:
    """From how much traffic on an interface endpoint is cheaper than the same through NAT."""
    a_month = prices.of("interface_endpoint_hour") * HOURS
    saved = prices.of("nat_gateway_gb") - prices.of("interface_endpoint_gb")
    yield (
        f"  An interface endpoint costs {a_month:.2f} a zone and saves {saved:f} a GB that NAT would carry: "
        f"it pays from {a_month / saved:,.0f} GB a zone on."
    )


def _table(title: str, items: Sequence[Item], total: object) -> Iterator[str]:
    yield title
    for item in items:
        quantity = f"{item.quantity.normalize():,f} {item.unit} at {item.price_usd.normalize():f}"
        yield _row(item.part, quantity, item.monthly_usd)
    yield _row("", "", total)


def _row(part: str, quantity: str, usd: object) -> str:
    return f"  {part:<40} {quantity:<38} {usd:>10,}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m offline.cost", description=__doc__)
    parser.add_argument("stack", help="as in Pulumi.<stack>.yaml")
    parser.add_argument("--requests", type=int, default=Traffic.requests, help="a month, default %(default)s")
    parser.add_argument(
        "--config", action="append", default=[], metavar="KEY=VALUE", help="as pulumi takes it"
    )
    given = parser.parse_args(arguments)
    overrides = dict(pair.split("=", 1) for pair in given.config if "=" in pair)
    if given.requests < 0 or len(overrides) != len(given.config):
        parser.error("--requests is a number from 0 on, --config is KEY=VALUE and each key once")
    try:
        print("\n".join(lines(report(given.stack, Traffic(given.requests), overrides))))
    except (ConfigError, ProgramError, PricesFileError, UnknownPriceError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
