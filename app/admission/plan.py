"""What a request is counted against: limits, leases and budgets of its key, project and organization.

Pure: from the records in force and the bounds of a request to the terms of one reservation.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from app.limits import Limits
from app.valkey import Argument, Fragment, fragment

What = Literal["requests", "tokens"]

_MINUTE = ("minute", 60_000, 1)
# Ticks of a second keep limit x period below 2^53 for every limit that `Limits` accepts.
_DAY = ("day", 86_400, 1000)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit. capacity: what fits at once, in cost x period. period: in ticks of tick_ms.

    scope: whom it is for, as a refusal names it.
    """

    field: str
    what: What
    per: str
    scope: str
    limit: int
    most: int
    capacity: int
    period: int
    tick_ms: int


@dataclass(frozen=True, slots=True)
class Count:
    """Requests at the same time."""

    field: str
    scope: str
    most: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Money of a calendar month, in micro-dollars; limit None: counted only."""

    field: str
    owner: Literal["project", "organization"]
    owner_id: str
    limit: int | None


@dataclass(frozen=True)
class Plan:
    """Everything that one request is counted against. What follows from it is made once."""

    rates: tuple[RateLimit, ...]
    counts: tuple[Count, ...]
    budgets: tuple[Budget, ...]

    @cached_property
    def has_budget(self) -> bool:
        return any(budget.limit is not None for budget in self.budgets)

    @cached_property
    def by_what(self) -> tuple[tuple[What, tuple[int, ...]], ...]:
        """Which of the rates are of requests and which of tokens, without what has none."""
        kinds: tuple[What, ...] = ("requests", "tokens")
        numbers = [
            (what, tuple(n for n, rate in enumerate(self.rates) if rate.what == what)) for what in kinds
        ]
        return tuple((what, of_them) for what, of_them in numbers if of_them)

    @cached_property
    def for_batch(self) -> "Plan":
        """What a batch is counted against: the limits of requests, as one, and the budgets."""
        return Plan(tuple(rate for rate in self.rates if rate.what == "requests"), (), self.budgets)

    @cached_property
    def for_free(self) -> "Plan":
        """What a request is counted against that costs nothing: whatever is spent, it may be made."""
        return Plan(self.rates, self.counts, ())

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """As admission.lua takes them."""
        arguments: list[Argument] = [len(self.rates), len(self.counts), len(self.budgets)]
        for rate in self.rates:
            arguments += (rate.limit, rate.capacity, rate.period, rate.tick_ms)
            arguments.append(1 if rate.what == "tokens" else 0)
        arguments += [count.most for count in self.counts]
        arguments += [-1 if budget.limit is None else budget.limit for budget in self.budgets]
        arguments.append("generation")
        arguments += [rate.field for rate in self.rates]
        arguments += [count.field for count in self.counts]
        arguments += [budget.field for budget in self.budgets]
        return tuple(arguments)

    @cached_property
    def spelled(self) -> Fragment:
        return fragment(*self.arguments)


@dataclass(frozen=True, slots=True)
class Scopes:
    """The limits that hold for a caller. models: those of its project for single models."""

    key_id: str
    key: Limits
    project_id: str
    project: Limits
    models: tuple[tuple[str, Limits], ...]
    organization_id: str
    organization: Limits


def plan(scopes: Scopes, *models: str | None) -> Plan:
    """The plan for a request that these of the models with limits may answer."""
    parts = [
        (f"k:{scopes.key_id}", "this API key", scopes.key),
        (f"p:{scopes.project_id}", f"project {scopes.project_id}", scopes.project),
        ("o", f"organization {scopes.organization_id}", scopes.organization),
    ]
    for name, limits in scopes.models:
        if name in models:
            parts.append((f"m:{scopes.project_id}:{name}", f"{name} in project {scopes.project_id}", limits))
    return Plan(
        rates=tuple(rate for name, scope, limits in parts for rate in _rates(name, scope, limits)),
        counts=tuple(
            Count(f"c:{name}", scope, limits.concurrent_requests)
            for name, scope, limits in parts
            if limits.concurrent_requests is not None
        ),
        budgets=(
            Budget(
                project_budget(scopes.project_id),
                "project",
                scopes.project_id,
                scopes.project.spend_limit_micro_usd,
            ),
            Budget(
                ORGANIZATION_BUDGET,
                "organization",
                scopes.organization_id,
                scopes.organization.spend_limit_micro_usd,
            ),
        ),
    )


ORGANIZATION_BUDGET = "b:o"


def project_budget(project_id: str) -> str:
    return f"b:p:{project_id}"


def _rates(name: str, scope: str, limits: Limits) -> list[RateLimit]:
    wanted: tuple[tuple[What, int | None, int, tuple[str, int, int]], ...] = (
        ("requests", limits.requests_per_minute, limits.burst_requests, _MINUTE),
        ("tokens", limits.tokens_per_minute, limits.burst_tokens, _MINUTE),
        ("requests", limits.requests_per_day, 0, _DAY),
        ("tokens", limits.tokens_per_day, 0, _DAY),
    )
    rates = []
    for what, limit, burst, (per, period, tick_ms) in wanted:
        if limit is not None:
            most = limit + burst
            field = f"l:{name}:{what}:{per}"
            rates.append(RateLimit(field, what, per, scope, limit, most, most * period, period, tick_ms))
    return rates


def costs(plan: Plan, bound_tokens: int, *, bounded: bool) -> list[int]:
    """What each rate limit is asked for: one request, or tokens.

    bounded: the request itself bounds its tokens. One that does not is not refused for what it could use in
    the worst case: it takes at most the whole of a limit.
    """
    return [
        1 if rate.what == "requests" else bound_tokens if bounded else min(bound_tokens, rate.most)
        for rate in plan.rates
    ]
