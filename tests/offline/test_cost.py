"""The command prints an itemised month, and what the choice of the way out changes."""

import re

import pytest

from offline.cost import main


def amounts(text: str) -> list[str]:
    return re.findall(r"([\d,]+\.\d\d)$", text, re.MULTILINE)


def test_the_command_prints_items_totals_ways_out_and_the_prices_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["staging", "--requests", "2000000"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("staging in us-east-1, a month of 730 hours, in US dollars\n")
    assert "comes with 2,000,000 requests" in printed
    for part in (
        "1 task, memory",
        "NAT gateways, data",
        "cache, cache.t4g.micro",
        "if 4 tasks ran all month",
    ):
        assert part in printed
    ways = dict(re.findall(r"^  nat_gateways=(.+?) +([\d.]+)$", printed, re.MULTILINE))
    together = re.search(r"together, at the fewest tasks +([\d.]+)", printed)
    assert together is not None
    one = float(ways["one, interface_endpoints=false"])
    assert one == float(together[1])
    assert float(ways["per-zone, interface_endpoints=false"]) > one
    assert float(ways["one, interface_endpoints=true"]) > one
    assert "nat_gateways=none, interface_endpoints=true: " in printed, "OpenAI is out of reach without NAT"
    assert "An interface endpoint costs 7.30 a zone and saves 0.035 a GB" in printed
    assert "Prices: AWS Price List" in printed


def test_a_config_that_is_refused_is_told_with_what_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["staging", "--config", "task_memory_mib=3"]) == 1
    assert "mend it: pulumi config set task_memory_mib 1024" in capsys.readouterr().err


def test_a_stack_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["moon"]) == 1
    assert "has no Pulumi.moon.yaml" in capsys.readouterr().err
