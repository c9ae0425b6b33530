"""What a request reserves, and is charged, that several models may answer.

It holds the most that any of them can cost; where one may be given up for being slow, which may be charged
all the same, the most that all of them together can. So what is settled is never above what was held,
whichever answered.
"""

from collections.abc import Iterable
from dataclasses import replace

from app.admission.charge import Bounds, bounds, estimate
from app.endpoints import ApiRequest
from app.endpoints.endpoint import Chain
from app.prices import NO_SHARES, Price, Prices, Shares
from app.usage import Usage


def reservation(request: ApiRequest, chain: Chain, prices: Prices) -> tuple[Bounds, int, Shares]:
    """The bounds and the micro-dollars to hold, and the shares of these."""
    offers = [_offer(request, model, prices) for model in chain.models]
    combined = max if chain.first_byte_within_s is None else sum
    most = Bounds(
        combined(most.prompt_tokens for most, _ in offers),
        combined(most.answer_tokens for most, _ in offers),
        given=all(most.given for most, _ in offers),
    )
    costs = [
        (price.bound(*_tokens(most)), price.bound_shares(*_tokens(most)))
        for most, price in offers
        if price is not None
    ]
    if not costs:
        return most, 0, NO_SHARES
    if chain.first_byte_within_s is None:
        return most, *max(costs, key=lambda cost: cost[0])
    return most, sum(money for money, _ in costs), _total(shares for _, shares in costs)


def answered(request: ApiRequest, chain: Chain, prices: Prices) -> tuple[Bounds, Price | None]:
    """The bounds and the price of the model that was asked last."""
    return _offer(request, chain.answering, prices)


def with_given_up(
    usage: Usage, micro_usd: int, shares: Shares, request: ApiRequest, chain: Chain, prices: Prices
) -> tuple[Usage, int, Shares]:
    """What was used, and what those may have used by their time that were given up."""
    for model, elapsed_s in chain.given_up:
        most, price = _offer(request, model, prices)
        lost = estimate(request, most, 0, elapsed_s)
        if price is not None:
            micro_usd += price.cost(lost)
            shares = _total((shares, price.shares(lost)))
        usage = replace(
            usage,
            prompt_tokens=usage.prompt_tokens + lost.prompt_tokens,
            completion_tokens=usage.completion_tokens + lost.completion_tokens,
            total_tokens=usage.total_tokens + lost.total_tokens,
            estimated=True,
        )
    return usage, micro_usd, shares


def _offer(request: ApiRequest, model: str, prices: Prices) -> tuple[Bounds, Price | None]:
    price = prices.of(replace(request, model=model))
    return bounds(request, price), price


def _tokens(most: Bounds) -> tuple[int, int]:
    return most.prompt_tokens, most.answer_tokens


def _total(parts: Iterable[Shares]) -> Shares:
    cached = completion = 0
    for part in parts:
        cached += part.cached_micro_usd
        completion += part.completion_micro_usd
    return Shares(cached, completion)
