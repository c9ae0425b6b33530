"""Prices are read once, each with a source, and what was not read is said."""

from decimal import Decimal

import pytest

from offline.prices import PricesFileError, UnknownPriceError, prices_of, read


def test_a_price_holds_everywhere_but_where_a_region_has_its_own() -> None:
    assert prices_of("us-east-2").of("nat_gateway_hour") == prices_of("us-east-1").of("nat_gateway_hour")
    assert prices_of("us-west-1").of("nat_gateway_hour") == Decimal("0.048")
    assert prices_of("us-west-1").of("kms_key_month") == Decimal(1)


def test_every_price_is_a_positive_amount_in_text() -> None:
    """YAML would read a bare number as a float, which holds no exact cents."""
    data = prices_of("us-east-1").data
    amounts = [a for entry in data["prices"].values() for a in entry.values()]
    amounts += [*data["cache_nodes"].values(), *data["cache_node_factors"].values()]
    assert all(isinstance(a, str) and Decimal(a) > 0 for a in amounts)


def test_what_is_second_hand_is_a_price_and_says_whose() -> None:
    data = prices_of("us-east-1").data
    assert set(data["second_hand"]) <= set(data["prices"])
    assert all(
        source.startswith(("AWS", "Cloudburn, ", "Infracost, ")) for source in data["second_hand"].values()
    )


def test_the_provenance_names_source_date_and_what_was_not_read() -> None:
    line = prices_of("us-east-1").provenance
    assert "AWS Price List" in line
    assert "2026-10-02" in line
    assert "14 of 26" in line
    assert "`second_hand` in offline/prices.yaml" in line
    assert "us-west-1's own prices" not in line
    assert "us-west-1's own prices were not read there" in prices_of("us-west-1").provenance


def test_what_is_said_twice_is_refused_with_its_line() -> None:
    twice = "free:\n  a/b:B: free\n  c/d:D: free\n  a/b:B: a permission\n"
    with pytest.raises(PricesFileError, match=r"prices\.yaml, line 4: a/b:B is there twice"):
        read(twice)
    assert read("free: {a/b:B: free}\nprices: {a/b:B: free}") == {
        "free": {"a/b:B": "free"},
        "prices": {"a/b:B": "free"},
    }


def test_an_unknown_price_says_where_to_add_it() -> None:
    with pytest.raises(UnknownPriceError, match=r"no price moon_dust; add it to offline/prices\.yaml"):
        prices_of("us-east-1").of("moon_dust")
