"""Prices: the package's to the last pico-dollar, bounds that hold, and the operator's own."""

import json
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from types import SimpleNamespace

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.prices import MAX_MODELS, Prices, PricesError, max_answer_tokens, parse_prices
from app.usage import Usage

PRICES = Prices({})
MODELS = ["gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-5", "gpt-5.4", "o3", "gpt-3.5-turbo-instruct"]


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    prompt, completion = draw(st.integers(0, 1_000_000)), draw(st.integers(0, 200_000))
    cached = draw(st.integers(0, prompt))
    return Usage(prompt, completion, prompt + completion, cached_tokens=cached)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODELS), usages())
def test_the_cost_is_the_packages_rounded_up_to_a_micro_dollar(model: str, usage: Usage) -> None:
    price = PRICES.price(model)
    assert price is not None
    theirs = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cached_tokens,
        ),
        model,
        provider_id="openai",
        genai_request_timestamp=datetime.now(UTC),
    )
    expected = int((theirs.total_price * 1_000_000).to_integral_value(ROUND_CEILING))
    assert price.cost(usage) == expected
    shares = price.shares(usage)
    of_answer = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=usage.prompt_tokens, cache_read_tokens=usage.cached_tokens),
        model,
        provider_id="openai",
        genai_request_timestamp=datetime.now(UTC),
    )
    exact = int((theirs.total_price - of_answer.total_price) * 1_000_000)
    assert shares.completion_micro_usd == exact
    assert 0 <= shares.cached_micro_usd <= expected - shares.completion_micro_usd


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MODELS), usages(), st.integers(0, 1000), st.integers(0, 1000))
def test_no_request_costs_more_than_its_bound(
    model: str, usage: Usage, more_prompt: int, more_answer: int
) -> None:
    price = PRICES.price(model)
    assert price is not None
    bound = price.bound(usage.prompt_tokens + more_prompt, usage.completion_tokens + more_answer)
    assert price.cost(usage) <= bound
    shares = price.bound_shares(usage.prompt_tokens + more_prompt, usage.completion_tokens + more_answer)
    assert shares.cached_micro_usd == 0
    assert price.shares(usage).completion_micro_usd <= shares.completion_micro_usd <= bound


def test_reasoning_costs_as_answer_and_cached_prompts_cost_less() -> None:
    price = PRICES.price("gpt-5")
    assert price is not None
    assert price.cost(Usage(1_000_000, 0, 0)) == 1_250_000
    assert price.cost(Usage(1_000_000, 0, 0, cached_tokens=1_000_000)) == 125_000
    assert price.cost(Usage(0, 1000, 1000, reasoning_tokens=900)) == 10_000


def test_a_service_tier_has_its_price() -> None:
    def cost(tier: str | None) -> int:
        price = PRICES.of(SimpleNamespace(model="gpt-4.1", fields={"service_tier": tier}))
        assert price is not None
        return price.cost(Usage(1_000_000, 0, 1_000_000))

    assert cost("priority") > cost(None) == cost("auto") == cost("default") == 2_000_000


def test_a_model_nobody_knows_has_no_price_and_floods_of_names_are_bounded() -> None:
    prices = Prices({})
    for number in range(MAX_MODELS + 5):
        assert prices.price(f"nobody-knows-{number}") is None
    assert len(prices._known) == MAX_MODELS


def test_the_longest_answer_is_that_of_the_longest_beginning() -> None:
    assert max_answer_tokens("gpt-4o-mini-2024-07-18") == 16_384
    assert max_answer_tokens("gpt-4-0613") == 8_192
    assert max_answer_tokens("gpt-5-pro-2025-10-06") == 272_000
    assert max_answer_tokens("gpt-5.2-pro") == 128_000
    assert max_answer_tokens("ft:gpt-4o-mini:org::id") == 16_384
    assert max_answer_tokens("text-embedding-3-small") is None
    assert max_answer_tokens("FT:GPT-4o-mini:org::id") == 16_384


def test_moderation_is_free_and_not_unknown() -> None:
    for model in ("omni-moderation-latest", "text-moderation-latest"):
        price = PRICES.price(model)
        assert price is not None
        assert price.bound(10**6, 0) == 0


def test_no_spelling_of_a_model_goes_around_its_price() -> None:
    own = {"gpt-4o-mini": {"input": "1.5", "output": 3}, "Mine": {"input": 1, "output": 1}}
    prices = Prices(parse_prices(json.dumps(own)))
    assert prices.price("GPT-4o-Mini") == prices.price("gpt-4o-mini")
    assert prices.price("mine") is prices.price("MINE") is not None
    assert prices.price("GPT-4O") == PRICES.price("gpt-4o")
    assert prices.price("Omni-Moderation-latest") == prices.price("omni-moderation-latest")


def test_own_prices_come_first() -> None:
    own = parse_prices('{"gpt-4o-mini": {"input": "1.5", "output": 3}, "mine": {"input": 0, "output": "0"}}')
    prices = Prices(own)
    price = prices.price("gpt-4o-mini")
    assert price is not None
    assert price.cost(Usage(1_000_000, 1_000_000, 0)) == 4_500_000
    free = prices.price("mine")
    assert free is not None
    assert free.bound(10**6, 10**6) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "object of models"),
        ('{"m": 1}', "m is not an object"),
        ('{"m": {"input": "x", "output": 1}}', "m.input"),
        ('{"m": {"input": 1}}', "m.output"),
        ('{"m": {"input": 1, "output": -1}}', "m.output"),
        ('{"m": {"input": 1, "output": 1, "price": 1}}', "m.price is not one of"),
        ('{"m": {"input": 1, "output": 1, "context_tokens": 0}}', "m.context_tokens"),
        ('{"m": {"input": 1, "output": 1, "context_tokens": 1000000001}}', "m.context_tokens"),
        ('{"m": {"input": 1, "output": 1, "max_output_tokens": "x"}}', "m.max_output_tokens"),
        ('{"m": {"input": true, "output": 1}}', "m.input"),
        ('{"m": {"input": NaN, "output": 1}}', "m.input"),
        ('{"m": {"input": 1, "output": 1e999}}', "m.output"),
        ("[" * 100_000, "is not JSON"),
        ("1" * 10_000, "is not JSON"),
    ],
)
def test_own_prices_that_cannot_be_understood_are_named(text: str, problem: str) -> None:
    with pytest.raises(PricesError, match=problem):
        parse_prices(text)


def test_a_fraction_of_a_micro_dollar_counts_as_one() -> None:
    price = PRICES.price("gpt-4o-mini")
    assert price is not None
    assert price.cost(Usage(1, 0, 1)) == 1
    assert Decimal(price.steps[0][1].prompt) == Decimal("0.15") * 1_000_000
