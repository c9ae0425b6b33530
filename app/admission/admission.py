"""Admits a request within the limits and budgets of its key, project and organization, on all replicas.

When Valkey is gone or slow, each replica holds the limits of requests a minute by itself: a key then gets at
most its limit times the number of replicas, never without bound. Requests that a budget governs are refused
then, as nobody can say what is left of it.
"""

import time

from app import errors
from app.admission import chained, refusals, script
from app.admission.charge import Bounds, bounds, estimate
from app.admission.errors import budget_unavailable, unbounded_cost, unpriced_model
from app.admission.hold import Hold
from app.admission.outstanding import Outstanding
from app.admission.plan import Plan
from app.admission.rates import LocalLimits
from app.admission.seeding import Seeding
from app.endpoints import ApiRequest
from app.identity import Caller
from app.ledger import Ledger, Settlement
from app.ledger_record import Outcome, encode, shared
from app.prices import NO_SHARES, Price, Prices, tier_of
from app.table import TableUnavailableError
from app.usage import Usage
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

LEASE_MARGIN_S = 5.0
NOTHING = Bounds(0, 0, True)
DEFAULT_TIER = "default"

_UNAVAILABLE = (ValkeyUnavailableError, ValkeyReplyError, TableUnavailableError)


class Admission:
    """Asks Valkey once before each request and tells it once after.

    longest_s: how long a request may take. replica: this process, as the ledger calls it.
    """

    def __init__(
        self,
        valkey: Valkey,
        seeding: Seeding,
        ledger: Ledger,
        prices: Prices,
        *,
        longest_s: float,
        replica: str,
    ) -> None:
        self._valkey = valkey
        self._seeding = seeding
        self._ledger = ledger
        self._prices = prices
        self._lease_s = longest_s + LEASE_MARGIN_S
        self._lease_ms = int(self._lease_s * 1000)
        self._outstanding = Outstanding(valkey, self._lease_s)
        self._replica = replica
        self._local = LocalLimits()
        self._is_local = False

    def open(self) -> None:
        self._outstanding.open()

    async def close(self) -> None:
        await self._outstanding.close()

    async def reserve(self, caller: Caller, request_id: str, request: ApiRequest | None) -> Hold:
        """Reserves what a request may use. Raises ApiError (400, 429, 503), with nothing reserved."""
        chain = request.chain if request is not None else None
        models = () if request is None else (request.model,) if chain is None else chain.models
        plan = caller.plan(*models) if request is not None else caller.plan().for_free
        price = self._prices.of(request) if request is not None else None
        most = bounds(request, price) if request is not None else NOTHING
        money = _money(request, plan, price, most)
        shares = price.bound_shares(most.prompt_tokens, most.answer_tokens) if price else NO_SHARES
        if request is not None and chain is not None:
            most, money, shares = chained.reservation(request, chain, self._prices)
        beginning = self._beginning(caller, request, priced=request is None or price is not None)
        everything = Usage(most.prompt_tokens, most.answer_tokens, most.tokens, estimated=True)
        expired = encode(beginning, request_id, "expired", everything, money, shares)
        hold = Hold(caller, request_id, request, price, most, beginning, money, expired)
        terms = script.Terms(plan, most.tokens, most.given, money, self._lease_ms, expired)
        try:
            try:
                verdict = await script.reserve(self._valkey, caller.organization_id, request_id, terms)
            except script.UnseededError:
                verdict = await self._reserve_seeded(caller.organization_id, request_id, terms)
        except _UNAVAILABLE:
            self._reserve_locally(hold, plan)
            return hold
        except BaseException:
            # The caller left while the answer was on its way: it may have been a yes.
            self._release(hold)
            raise
        if self._is_local:
            self._is_local = False
            self._local.clear()
        hold.headers = refusals.headers(plan, verdict.standings)
        if verdict.generation is None:
            refusal = refusals.refusal(terms, verdict)
            refusal.headers += tuple(hold.headers)
            raise refusal
        hold.generation = verdict.generation
        if plan.has_budget:
            self._outstanding.add(hold)
        return hold

    async def reserve_batch(
        self, caller: Caller, request_id: str, model: str, money: int, lease_ms: int, expired: bytes
    ) -> Hold:
        """Reserves a request, and for so long the most micro-dollars that a batch can cost.

        The batch is settled by what came of it (`app/batches/settling.py`); the hold only when nothing does.
        Raises ApiError (429, 503), with nothing reserved.
        """
        terms = script.Terms(caller.plan(model).for_batch, 0, True, money, lease_ms, expired)
        hold = Hold(caller, request_id, None, None, NOTHING, b"", money, expired)
        try:
            await self._seeding.seed(caller.organization_id)
            verdict = await script.reserve(self._valkey, caller.organization_id, request_id, terms)
        except (*_UNAVAILABLE, script.UnseededError):
            self._release(hold)
            raise errors.batches_unavailable() from None
        except BaseException:
            self._release(hold)
            raise
        hold.headers = refusals.headers(terms.plan, verdict.standings)
        if verdict.generation is None:
            refusal = refusals.refusal(terms, verdict)
            refusal.headers += tuple(hold.headers)
            raise refusal
        hold.generation = verdict.generation
        return hold

    def settle(
        self,
        hold: Hold,
        usage: Usage | None,
        *,
        used: bool,
        chunks: int = 0,
        silent_s: float = 0.0,
        broken_off: bool = False,
    ) -> None:
        """Charges what was used instead of what was held; only the first time, and without waiting.

        usage: what the upstream said, None when it said nothing. used: the upstream may charge for it.
        chunks: how many events of a stream came. silent_s: how long none did.
        """
        if hold.settled:
            return
        request = hold.request
        chain = request.chain if request is not None else None
        given_up = chain is not None and bool(chain.given_up)
        if request is None or not (used or usage or given_up):
            self._release(hold)
            return
        if chain is not None:
            hold.most, hold.price = chained.answered(request, chain, self._prices)
        if usage is None:
            unseen_s = silent_s if request.stream else time.monotonic() - hold.began
            usage = estimate(request, hold.most, chunks, unseen_s) if used else Usage(0, 0, 0)
        money, shares = hold.price.charge(usage) if hold.price is not None else (0, NO_SHARES)
        if chain is not None and given_up:
            usage, money, shares = chained.with_given_up(usage, money, shares, request, chain, self._prices)
        if chain is not None:
            hold.beginning = self._beginning(hold.caller, request, priced=hold.price is not None)
        outcome: Outcome = "broken_off" if broken_off else "answered"
        record = encode(hold.beginning, hold.request_id, outcome, usage, money, shares)
        self._settle(hold, usage.prompt_tokens + usage.completion_tokens, money, record)

    async def _reserve_seeded(
        self, organization_id: str, request_id: str, terms: script.Terms
    ) -> script.Verdict:
        await self._seeding.seed(organization_id)
        try:
            return await script.reserve(self._valkey, organization_id, request_id, terms)
        except script.UnseededError:
            raise ValkeyUnavailableError("the memory was lost again") from None

    def _reserve_locally(self, hold: Hold, plan: Plan) -> None:
        # Only its answer may be lost; then it is given back as soon as Valkey answers again.
        if plan.has_budget and hold.request is not None:
            self._release(hold)
            raise budget_unavailable()
        self._is_local = True
        hold.limiter = "local"
        rates = [rate for rate in plan.rates if rate.what == "requests" and rate.per == "minute"]
        now_ms = int(time.monotonic() * 1000)
        standings = self._local.take(now_ms, [(rate.field, rate.limit) for rate in rates])
        if standings:
            hold.headers = min(standings, key=lambda standing: standing.remaining).headers("requests")
        for rate, standing in zip(rates, standings, strict=True):
            if not standing.allowed:
                self._release(hold)
                refusal = refusals.rate_limited(rate, standing.wait_ms)
                refusal.headers += tuple(hold.headers)
                raise refusal

    def _release(self, hold: Hold) -> None:
        self._settle(hold, 0, 0, None)

    def _settle(self, hold: Hold, tokens: int, money: int, record: bytes | None) -> None:
        hold.settled = True
        self._outstanding.remove(hold)
        self._ledger.settle(
            Settlement(
                organization_id=hold.caller.organization_id,
                project_id=hold.caller.project_id,
                request_id=hold.request_id,
                generation=hold.generation,
                tokens=tokens,
                money=money,
                record=record,
                lease_over=time.monotonic() - hold.began > self._lease_s,
                at_ms=int(time.time() * 1000),
            )
        )

    def _beginning(self, caller: Caller, request: ApiRequest | None, *, priced: bool) -> bytes:
        return shared(
            caller.organization_id,
            caller.project_id,
            caller.key_id,
            request.endpoint.path if request is not None else "",
            request.answering if request is not None else "",
            (request and tier_of(request)) or DEFAULT_TIER,
            caller.service_account_id or "",
            self._replica,
            priced,
        )


def _money(request: ApiRequest | None, plan: Plan, price: Price | None, most: Bounds) -> int:
    """Micro-dollars that the request cannot cost more than. Raises ApiError (400) when a budget governs it
    and nobody can say."""
    if request is None:
        return 0
    if plan.has_budget:
        if price is None:
            raise unpriced_model(request.model, plan)
        if request.unbounded_param is not None:
            raise unbounded_cost(request.unbounded_param, plan)
    return price.bound(most.prompt_tokens, most.answer_tokens) if price is not None else 0
