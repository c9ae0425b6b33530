"""What `admission.lua` is to do, written once more in Python, in another way: whole history, plain sums."""

import calendar
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.admission.plan import Plan, RateLimit
from app.admission.rates import Level
from app.admission.script import NEVER, UNTIL_OTHERS_SETTLE, Terms


@dataclass
class Lease:
    terms: Terms
    ends_ms: int


@dataclass
class Twin:
    """One organization's memory. money: of each budget's field, by month. settled: money of each request."""

    now_ms: int
    seeded: bool = True
    levels: dict[str, Level] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    spent: dict[tuple[str, str], int] = field(default_factory=dict)
    outbox: list[tuple[str, int, bool]] = field(default_factory=list)

    def month(self) -> str:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC).strftime("%Y-%m")

    def month_end_ms(self) -> int:
        now = datetime.fromtimestamp(self.now_ms / 1000, UTC)
        days = calendar.monthrange(now.year, now.month)[1]
        return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp() + days * 86400) * 1000

    def level(self, rate: RateLimit) -> int:
        """In cost x period, after what leaked by now."""
        stored = self.levels.get(rate.field, Level())
        ticks = self.now_ms // rate.tick_ms - stored.at_ms // rate.tick_ms
        return max(0, stored.level - max(0, ticks) * rate.limit)

    def held(self, rate: RateLimit) -> int:
        return sum(
            cost
            for lease in self.leases.values()
            for held, cost in zip(lease.terms.plan.rates, lease.terms.costs, strict=True)
            if held.field == rate.field and held.what == "tokens"
        )

    def reserved(self, budget: str) -> int:
        return sum(
            lease.terms.money
            for lease in self.leases.values()
            if any(one.field == budget for one in lease.terms.plan.budgets)
        )

    def out(self, count: str) -> int:
        return sum(
            any(one.field == count for one in lease.terms.plan.counts) for lease in self.leases.values()
        )

    def expire(self) -> None:
        due = sorted(
            (lease.ends_ms, request_id)
            for request_id, lease in self.leases.items()
            if lease.ends_ms <= self.now_ms
        )
        for _, request_id in due[:16]:
            self._end(request_id, None, None)
            self.outbox.append((request_id, self.now_ms, True))

    def reserve(self, request_id: str, terms: Terms) -> tuple[str | None, int, int]:
        """(what refused or None, its number, wait_ms)."""
        self.expire()
        plan, refusals = terms.plan, []
        for number, (rate, cost) in enumerate(zip(plan.rates, terms.costs, strict=True)):
            held = self.held(rate)
            excess = self.level(rate) + (held + cost) * rate.period - rate.capacity
            if cost > rate.most:
                refusals.append((math.inf, "limit", number, NEVER))
            elif excess > 0 and held + cost > rate.most:
                refusals.append((1000, "held", number, UNTIL_OTHERS_SETTLE))
            elif excess > 0:
                tick = self.now_ms // rate.tick_ms + -(-excess // rate.limit)
                wait_ms = tick * rate.tick_ms - self.now_ms
                refusals.append((wait_ms, "limit", number, wait_ms))
        for number, count in enumerate(plan.counts):
            if self.out(count.field) >= count.most:
                refusals.append((1000, "count", number, UNTIL_OTHERS_SETTLE))
        for number, budget in enumerate(plan.budgets):
            spent = self.spent.get((budget.field, self.month()), 0)
            if budget.limit is None:
                continue
            if spent + terms.money > budget.limit:
                refusals.append((10**15, "budget", number, NEVER))
            elif spent + self.reserved(budget.field) + terms.money > budget.limit:
                refusals.append((1000, "reserved", number, UNTIL_OTHERS_SETTLE))
        if refusals:
            return max(refusals, key=lambda refusal: refusal[0])[1:]
        self._pour(
            plan,
            [
                cost if rate.what == "requests" else 0
                for rate, cost in zip(plan.rates, terms.costs, strict=True)
            ],
        )
        self.leases[request_id] = Lease(terms, self.now_ms + terms.lease_ms)
        return None, 0, 0

    def settle(self, request_id: str, tokens: int, money: int) -> bool:
        """False when there is no such lease."""
        if request_id not in self.leases:
            return False
        self._end(request_id, tokens, money)
        self.outbox.append((request_id, self.now_ms, False))
        return True

    def standings(self, plan: Plan) -> list[tuple[int, int]]:
        """(remaining, ms until full) of each limit."""
        told = []
        for rate in plan.rates:
            used = self.level(rate) + self.held(rate) * rate.period
            remaining = max(0, (rate.capacity - used) // rate.period)
            told.append((remaining, -(-used // rate.limit) * rate.tick_ms))
        return told

    def _end(self, request_id: str, tokens: int | None, money: int | None) -> None:
        terms = self.leases.pop(request_id).terms
        self._pour(
            terms.plan,
            [
                0 if rate.what == "requests" else cost if tokens is None else tokens
                for rate, cost in zip(terms.plan.rates, terms.costs, strict=True)
            ],
        )
        for budget in terms.plan.budgets:
            key = (budget.field, self.month())
            self.spent[key] = self.spent.get(key, 0) + (terms.money if money is None else money)

    def _pour(self, plan: Plan, amounts: list[int]) -> None:
        for rate, amount in zip(plan.rates, amounts, strict=True):
            self.levels[rate.field] = Level(self.level(rate) + amount * rate.period, self.now_ms)
