"""Refusals of limits and budgets: status, OpenAI's error object, and the remedy."""

from app.admission.plan import Plan
from app.errors import DO_NOT_RETRY, DO_RETRY, ApiError, Header, invalid_request, unavailable


def _wait(wait_ms: int) -> tuple[Header, ...]:
    # Told in both headers: whole seconds are the standard's, the SDK prefers the exact milliseconds.
    return (
        (b"retry-after", str(max(1, -(-wait_ms // 1000))).encode()),
        (b"retry-after-ms", str(wait_ms).encode()),
    )


def too_many(what: str, limit: int, per: str, scope: str, wait_ms: int) -> ApiError:
    """what: requests or tokens; per: minute or day; scope: whom the limit is for."""
    return ApiError(
        429,
        f"Rate limit reached: {limit} {what} per {per} for {scope}. Try again in {wait_ms} ms.",
        kind=what,
        code="rate_limit_exceeded",
        headers=_wait(wait_ms),
    )


def too_large_for_limit(limit: int, per: str, scope: str, tokens: int) -> ApiError:
    return ApiError(
        429,
        f"The request may use {tokens} tokens, more than the limit of {limit} tokens per {per} for {scope} "
        "ever lets through. Send a shorter prompt or a smaller max_completion_tokens.",
        kind="tokens",
        code="rate_limit_exceeded",
        headers=(DO_NOT_RETRY,),
    )


def too_many_at_once(most: int, scope: str, wait_ms: int) -> ApiError:
    return ApiError(
        429,
        f"Rate limit reached: {most} requests at the same time for {scope}. Try again when one has ended.",
        kind="requests",
        code="rate_limit_exceeded",
        headers=(*_wait(wait_ms), DO_RETRY),
    )


def budget_spent(owner: str, owner_id: str, limit: int, asked: int, until: str, wait_s: int) -> ApiError:
    """Amounts in micro-dollars; until: the day the next month begins."""
    return ApiError(
        429,
        f"The {owner} {owner_id} has a spend limit of ${limit / 1e6:.2f} a month, and what is left of it "
        f"does not cover this request, which may cost up to ${asked / 1e6:.6f}. The limit starts anew on "
        f"{until} (UTC). Raise the limit, or send a smaller max_completion_tokens.",
        kind="insufficient_quota",
        code=f"{owner}_spend_limit_exceeded",
        headers=((b"retry-after", str(wait_s).encode()), DO_NOT_RETRY),
    )


def budget_reserved(owner: str, owner_id: str, limit: int, wait_ms: int) -> ApiError:
    return ApiError(
        429,
        f"What is left of the spend limit of ${limit / 1e6:.2f} a month of the {owner} {owner_id} is "
        "reserved by requests that are running. Try again when one has ended.",
        kind="insufficient_quota",
        code=f"{owner}_spend_limit_exceeded",
        headers=(*_wait(wait_ms), DO_RETRY),
    )


def budget_unavailable() -> ApiError:
    return unavailable(
        "What is left of the spend limit cannot be told at the moment. Try again shortly.",
        "budget_unavailable",
        retry_after_s=1,
    )


def unpriced_model(model: str, plan: Plan) -> ApiError:
    return invalid_request(
        f"The model {model[:256]!r} has no known price, so {_limit(plan)} cannot be kept with it. Use "
        "another model, or ask the gateway's operator to set a price for it (model_prices).",
        param="model",
        code="model_not_priced",
    )


def unbounded_cost(param: str, plan: Plan) -> ApiError:
    what, remedy = ("this model", "Use another one.") if param == "model" else (param, "Leave it out.")
    return invalid_request(
        f"What {what} may cost has no bound, so {_limit(plan)} cannot be kept with it. {remedy}",
        param=param,
        code="unbounded_cost",
    )


def _limit(plan: Plan) -> str:
    """The first of its spend limits, of which there is one."""
    budget = next(budget for budget in plan.budgets if budget.limit is not None)
    return f"the spend limit of the {budget.owner} {budget.owner_id}"
