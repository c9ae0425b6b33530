"""How a refusal, and where a caller stands, go over the wire: OpenAI's codes and headers, exact waits."""

from collections.abc import Sequence
from datetime import UTC, datetime

from app import errors
from app.admission.plan import Plan, RateLimit
from app.admission.rates import Standing
from app.admission.script import NEVER, Terms, Verdict
from app.errors import ApiError, Header

SOON_MS = 1_000
"""What a caller is told who only waits for others to finish: nobody knows when they will."""


def headers(plan: Plan, standings: Sequence[Standing]) -> list[Header]:
    """Where the caller stands with the limit that has least left, of requests and of tokens."""
    told: list[Header] = []
    for what in ("requests", "tokens"):
        of_them = [
            standing for rate, standing in zip(plan.rates, standings, strict=True) if rate.what == what
        ]
        told += rate_headers(what, of_them)
    return told


def rate_headers(what: str, standings: Sequence[Standing]) -> list[Header]:
    if not standings:
        return []
    return min(standings, key=lambda standing: standing.remaining).headers(what)


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
