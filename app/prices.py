"""What tokens cost: integers of pico-dollars a token inside, micro-dollars rounded up for a request.

Prices are those of the package genai-prices for OpenAI, as of the day; the operator's own come before them. A
stack's config is checked by `parse_prices` too, where only `requirements.txt` is installed.
Sources of the most tokens of an answer: OpenAI's model pages (https://developers.openai.com/api/docs/models).
"""

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from app.models.names import folded
from app.usage import Usage

PICO_PER_MICRO = 1_000_000
FRESH_S = 3600.0
MAX_MODELS = 1000
PROVIDER = "openai"

MAX_ANSWER_TOKENS = {
    "gpt-3.5": 4_096,
    "gpt-4": 8_192,
    "gpt-4-turbo": 4_096,
    "gpt-4.1": 32_768,
    "gpt-4o": 16_384,
    "gpt-5": 128_000,
    "gpt-5-pro": 272_000,
    "gpt-6": 128_000,
    "o1": 100_000,
    "o3": 100_000,
    "o4": 100_000,
}
"""By the longest beginning of a model's name. A model that is not here can fill its context."""

FREE_MODELS = ("omni-moderation", "text-moderation")
"""Moderation is free of charge (OpenAI, "Moderation"), so the package has no price for it."""

UNKNOWN_CONTEXT_TOKENS = 2_000_000
MOST_TOKENS = 1_000_000_000
PRICED_TIERS = frozenset({"flex", "priority", "fast"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Pico-dollars a token."""

    prompt: int
    cached: int
    cache_write: int
    audio_prompt: int
    completion: int
    audio_completion: int


class Shares(NamedTuple):
    """What of a request's micro-dollars is for which tokens, rounded down; the rest is for its prompt."""

    cached_micro_usd: int
    completion_micro_usd: int


NO_SHARES = Shares(0, 0)


@dataclass(frozen=True)
class Price:
    """Of one model in one service tier.

    steps: (prompt tokens, rates from the next token on), the first from -1. context_tokens: of prompt and
    answer together. answer_tokens: the most of one answer.
    """

    steps: tuple[tuple[int, Rates], ...]
    context_tokens: int
    answer_tokens: int

    def cost(self, usage: Usage) -> int:
        """Micro-dollars for what was used, rounded up."""
        return self.charge(usage)[0]

    def shares(self, usage: Usage) -> Shares:
        """What of the cost is for cached tokens, and for those of the answer."""
        return self.charge(usage)[1]

    def charge(self, usage: Usage) -> tuple[int, Shares]:
        """Cost and shares."""
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        _, rates = self.steps[self._step(prompt)]
        if not (
            usage.cached_tokens
            or usage.cache_write_tokens
            or usage.audio_prompt_tokens
            or usage.audio_completion_tokens
        ):
            answer = completion * rates.completion
            return -(-(prompt * rates.prompt + answer) // PICO_PER_MICRO), Shares(0, answer // PICO_PER_MICRO)
        audio = min(usage.audio_prompt_tokens, prompt)
        cached = min(usage.cached_tokens, prompt - audio)
        written = min(usage.cache_write_tokens, prompt - audio - cached)
        spoken = min(usage.audio_completion_tokens, completion)
        answer = (completion - spoken) * rates.completion + spoken * rates.audio_completion
        pico = (
            (prompt - audio - cached - written) * rates.prompt
            + audio * rates.audio_prompt
            + cached * rates.cached
            + written * rates.cache_write
            + answer
        )
        return -(-pico // PICO_PER_MICRO), Shares(
            cached * rates.cached // PICO_PER_MICRO, answer // PICO_PER_MICRO
        )

    def bound(self, prompt_tokens: int, answer_tokens: int) -> int:
        """Micro-dollars that no request with at most so many tokens costs more than."""
        prompt, answer = self._dearest[self._step(prompt_tokens)]
        return -(-(prompt_tokens * prompt + answer_tokens * answer) // PICO_PER_MICRO)

    def bound_shares(self, prompt_tokens: int, answer_tokens: int) -> Shares:
        """What of that is for the answer."""
        _, answer = self._dearest[self._step(prompt_tokens)]
        return Shares(0, answer_tokens * answer // PICO_PER_MICRO)

    @cached_property
    def _dearest(self) -> list[tuple[int, int]]:
        """Pico-dollars a token of prompt and of answer that no step up to each is above."""
        prompts = [max(one.prompt, one.cache_write, one.cached, one.audio_prompt) for _, one in self.steps]
        answers = [max(one.completion, one.audio_completion) for _, one in self.steps]
        return list(zip(accumulate(prompts, max), accumulate(answers, max), strict=True))

    def _step(self, prompt_tokens: int) -> int:
        step = len(self.steps) - 1
        while step and self.steps[step][0] >= prompt_tokens:
            step -= 1
        return step


BATCH_DIVISOR = 2
"""What OpenAI's Batch API costs less: input and output half the price (OpenAI, "Batch API")."""


def for_batches(price: Price) -> Price:
    """What the same costs in a batch; half a pico-dollar is rounded up."""
    halves = tuple(
        (start, Rates(**{name: -(-pico // BATCH_DIVISOR) for name, pico in asdict(rates).items()}))
        for start, rates in price.steps
    )
    return replace(price, steps=halves)


def spelled(price: Price) -> str:
    """A price as a text that keeps it as it is at this moment."""
    return json.dumps(asdict(price), separators=(",", ":"))


def read_price(text: str) -> Price:
    """The inverse of `spelled`."""
    told = json.loads(text)
    steps = tuple((start, Rates(**rates)) for start, rates in told["steps"])
    return Price(steps, told["context_tokens"], told["answer_tokens"])


FREE = Price(((-1, Rates(0, 0, 0, 0, 0, 0)),), UNKNOWN_CONTEXT_TOKENS, UNKNOWN_CONTEXT_TOKENS)


class PricesError(ValueError):
    """The operator's own prices cannot be understood; the text says where."""


class Requested(Protocol):
    """What of a request its price depends on."""

    @property
    def model(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...


def tier_of(request: Requested) -> str | None:
    """The service tier whose price a request has, None for the default."""
    tier = request.fields.get("service_tier")
    return tier if isinstance(tier, str) and tier in PRICED_TIERS else None


class Prices:
    """Prices by model; one that is unknown has none."""

    def __init__(self, own: Mapping[str, Price]) -> None:
        # A megabyte of data that is only worth loading in a process that serves.
        from genai_prices import types
        from genai_prices.data import providers

        self._types = types
        self._provider = next(provider for provider in providers if provider.id == PROVIDER)
        self._own = {folded(model): price for model, price in own.items()}
        self._known: OrderedDict[tuple[str, str | None], tuple[float, Price | None]] = OrderedDict()

    def of(self, request: Requested) -> Price | None:
        """The price of what a request asks for; None: unknown."""
        return self.price(request.model, tier_of(request))

    def price(self, model: str, tier: str | None = None) -> Price | None:
        """tier: flex, priority or fast, None for the default."""
        model = folded(model)
        known = self._known.get((model, tier))
        now = time.monotonic()
        if known is not None and now < known[0]:
            return known[1]
        price = self._own.get(model) or self._look_up(model, tier)
        self._known[model, tier] = (now + FRESH_S, price)
        self._known.move_to_end((model, tier))
        if len(self._known) > MAX_MODELS:
            self._known.popitem(last=False)
        return price

    def _look_up(self, model: str, tier: str | None) -> Price | None:
        if model.startswith(FREE_MODELS):
            return FREE
        info = self._provider.find_model(model)
        if info is None:
            return None
        context = {"service_tier": tier} if tier else None
        prices = info.get_prices(datetime.now(UTC), context)
        prompt = prices.input_mtok
        if prompt is None:
            return None
        names = {
            "prompt": prompt,
            "cached": _or(prices.cache_read_mtok, prompt),
            "cache_write": _or(prices.cache_write_mtok, prompt),
            "audio_prompt": _or(prices.input_audio_mtok, prompt),
            "completion": _or(prices.output_mtok, Decimal(0)),
        }
        names["audio_completion"] = _or(prices.output_audio_mtok, names["completion"])
        starts = {-1}
        for value in names.values():
            if isinstance(value, self._types.TieredPrices):
                starts |= {tier.start for tier in value.tiers}
        return Price(
            steps=tuple(
                (start, Rates(**{name: self._at(value, start) for name, value in names.items()}))
                for start in sorted(starts)
            ),
            context_tokens=info.context_window or UNKNOWN_CONTEXT_TOKENS,
            answer_tokens=max_answer_tokens(model) or info.context_window or UNKNOWN_CONTEXT_TOKENS,
        )

    def _at(self, value: Any, start: int) -> int:
        if not isinstance(value, self._types.TieredPrices):
            return pico_per_token(value)
        price = value.base
        for tier in value.tiers:
            if tier.start <= start:
                price = tier.price
        return pico_per_token(price)


def max_answer_tokens(model: str) -> int | None:
    """None when nothing is known but the context."""
    name = folded(model).removeprefix("ft:")
    matching = [begin for begin in MAX_ANSWER_TOKENS if name.startswith(begin)]
    return MAX_ANSWER_TOKENS[max(matching, key=len)] if matching else None


def pico_per_token(usd_per_million: Decimal) -> int:
    """Rounded up; prices are published with six decimals or fewer, so nothing is."""
    return int((usd_per_million * 1_000_000).to_integral_value(ROUND_CEILING))


def parse_prices(text: str) -> dict[str, Price]:
    """The operator's own prices: a JSON object of models.

    Each {"input", "output"} and perhaps {"cached_input"}, in dollars for a million tokens, as strings or
    numbers; and perhaps {"context_tokens", "max_output_tokens"}. Raises PricesError.
    """
    if not text:
        return {}
    try:
        models = json.loads(text)
    except (ValueError, RecursionError):
        raise PricesError("is not JSON") from None
    if not isinstance(models, dict):
        raise PricesError("is not a JSON object of models")
    return {model: _own_price(model, value) for model, value in models.items()}


def _own_price(model: str, value: object) -> Price:
    if not isinstance(value, dict):
        raise PricesError(f"{model} is not an object")
    known = {"input", "output", "cached_input", "context_tokens", "max_output_tokens"}
    if unknown := sorted(set(value) - known):
        raise PricesError(f"{model}.{unknown[0]} is not one of {', '.join(sorted(known))}")
    prompt = _dollars(model, value, "input")
    answer = _dollars(model, value, "output")
    cached = _dollars(model, value, "cached_input") if "cached_input" in value else prompt
    context = _tokens(model, value, "context_tokens") or UNKNOWN_CONTEXT_TOKENS
    rates = Rates(prompt, cached, prompt, prompt, answer, answer)
    return Price(((-1, rates),), context, _tokens(model, value, "max_output_tokens") or context)


def _dollars(model: str, value: Mapping[str, object], name: str) -> int:
    given = value.get(name)
    try:
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise ValueError
        amount = Decimal(str(given))
        if not amount.is_finite() or not 0 <= amount <= 1_000_000:
            raise ValueError
    except (ValueError, ArithmeticError):
        raise PricesError(f"{model}.{name} is not an amount in dollars for a million tokens") from None
    return pico_per_token(amount)


def _tokens(model: str, value: Mapping[str, object], name: str) -> int | None:
    given = value.get(name)
    if given is None:
        return None
    if type(given) is not int or not 1 <= given <= MOST_TOKENS:
        raise PricesError(f"{model}.{name} is not a number of tokens")
    return given


def _or(price: Any, other: Any) -> Any:
    return other if price is None else price
