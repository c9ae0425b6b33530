"""How a refusal, and where a caller stands, go over the wire: OpenAI's codes and headers, exact waits."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app.admission import errors
from app.admission.plan import Plan, RateLimit
from app.admission.rates import rate_headers
from app.admission.script import NEVER, Terms, Verdict
from app.errors import ApiError, Header

SOON_MS = 1_000
"""What a caller is told who only waits for others to finish: nobody knows when they will."""


def headers(plan: Plan, standings: Sequence[tuple[int, int]]) -> list[Header]:
    """Where the caller stands with the limit that has least left, of requests and of tokens.

    standings: of each rate of the plan what remains, and how many ms until it is full again.
    """
    told: list[Header] = []
    for what, numbers in plan.by_what:
        least = numbers[0]
        for number in numbers[1:]:
            if standings[number][0] < standings[least][0]:
                least = number
        told += rate_headers(what, plan.rates[least].limit, *standings[least])
    return told


def refusal(terms: Terms, verdict: Verdict) -> ApiError:
    """What a caller is told who was refused."""
    plan = terms.plan
    match verdict.refused:
        case "limit" if verdict.wait_ms == NEVER:
            rate = plan.rates[verdict.number]
            return errors.too_large_for_limit(rate.limit, rate.per, rate.scope, terms.costs[verdict.number])
        case "limit":
            return rate_limited(plan.rates[verdict.number], verdict.wait_ms)
        case "held":
            return rate_limited(plan.rates[verdict.number], SOON_MS)
        case "count":
            count = plan.counts[verdict.number]
            return errors.too_many_at_once(count.most, count.scope, SOON_MS)
        case "budget":
            budget = plan.budgets[verdict.number]
            until = month_end(verdict.now_ms)
            wait_s = -(-(int(until.timestamp() * 1000) - verdict.now_ms) // 1000)
            return errors.budget_spent(
                budget.owner, budget.owner_id, budget.limit or 0, terms.money, f"{until:%Y-%m-%d}", wait_s
            )
        case _:
            budget = plan.budgets[verdict.number]
            return errors.budget_reserved(budget.owner, budget.owner_id, budget.limit or 0, SOON_MS)


def rate_limited(rate: RateLimit, wait_ms: int) -> ApiError:
    return errors.too_many(rate.what, rate.limit, rate.per, rate.scope, wait_ms)


def month_end(now_ms: int) -> datetime:
    """The first moment of the next month in UTC."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    year, month = divmod(now.year * 12 + now.month, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
