"""What a request reserves, and is charged, that several models may answer.

It holds the most that any of them can cost; where one may be given up for being slow, which may be charged
all the same, the most that all of them together can. So what is settled is never above what was held,
whichever answered.
"""

from dataclasses import replace

from app.admission.charge import (
    ESTIMATED_BYTES_PER_TOKEN,
    ESTIMATED_TOKENS_PER_S,
    Bounds,
    bounds,
)
from app.endpoints import ApiRequest
from app.endpoints.endpoint import Chain
from app.prices import Price, Prices
from app.usage import Usage


def reservation(request: ApiRequest, chain: Chain, prices: Prices) -> tuple[Bounds, int]:
    """The bounds and the micro-dollars to hold."""
    offers = [_offer(request, model, prices) for model in chain.models]
    combined = max if chain.first_byte_within_s is None else sum
    most = Bounds(
        combined(most.prompt_tokens for most, _ in offers),
        combined(most.answer_tokens for most, _ in offers),
        given=all(most.given for most, _ in offers),
    )
    money = combined(
        0 if price is None else price.bound(most.prompt_tokens, most.answer_tokens) for most, price in offers
    )
    return most, money


def answered(request: ApiRequest, chain: Chain, prices: Prices) -> tuple[Bounds, Price | None]:
    """The bounds and the price of the model that was asked last."""
    return _offer(request, chain.answering, prices)


def with_given_up(
    usage: Usage, micro_usd: int, request: ApiRequest, chain: Chain, prices: Prices
) -> tuple[Usage, int]:
    """What was used, and what those may have used by their time that were given up."""
    for model, elapsed_s in chain.given_up:
        most, price = _offer(request, model, prices)
        lost = _estimate(request, most, elapsed_s)
        micro_usd += 0 if price is None else price.cost(lost)
        usage = replace(
            usage,
            prompt_tokens=usage.prompt_tokens + lost.prompt_tokens,
            completion_tokens=usage.completion_tokens + lost.completion_tokens,
            total_tokens=usage.total_tokens + lost.total_tokens,
            estimated=True,
        )
    return usage, micro_usd


def _offer(request: ApiRequest, model: str, prices: Prices) -> tuple[Bounds, Price | None]:
    price = prices.of(replace(request, model=model))
    return bounds(request, price), price


def _estimate(request: ApiRequest, most: Bounds, elapsed_s: float) -> Usage:
    # Streamed or not: a model may think, at its price, before it says anything.
    prompt = min(most.prompt_tokens, len(request.body) // ESTIMATED_BYTES_PER_TOKEN + 1)
    completion = min(most.answer_tokens, int(elapsed_s * ESTIMATED_TOKENS_PER_S) * request.answers)
    return Usage(prompt, completion, prompt + completion, estimated=True)
