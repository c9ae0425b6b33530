"""What requests used, from the moment they end until it is in the table: nothing recorded is lost on the way.

A settlement leaves for Valkey, whose script charges it and appends it to the outbox in one step. One replica
at a time moves the outbox to the table, where a request counts once however often it is told. Each replica
remembers what it settled until it hears that this is in the table, so when Valkey loses its memory, or does
not answer, it is told again.
"""

import asyncio
import contextlib
import functools
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from app.admission import script
from app.admission.plan import ORGANIZATION_BUDGET, project_budget
from app.admission.seeding import ORGANIZATIONS, Seeding
from app.ledger_record import UsageRecord, decode
from app.ledger_table import MAX_RECORDS, LedgerTable
from app.table import TableUnavailableError
from app.telemetry import log_event, log_exception
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

TICK_S = 0.25
AFTER_TROUBLE_S = 1.0
ACTIVE_FOR_S = 60.0
ADOPT_EVERY_S = 15.0
TELL_AGAIN_AFTER_S = 30.0
HELD_AGAIN_WITHIN_S = 10.0
DRAIN_ALONE_FOR_MS = 10_000
ACKS_KEPT_S = 3600
SWEPT_AT_ONCE = 100
MAX_PENDING = 200_000

Notice = Callable[[str, Sequence[UsageRecord]], Awaitable[None]]
"""Told of records of an organization that have come into the table."""

_UNAVAILABLE = (ValkeyUnavailableError, ValkeyReplyError, TableUnavailableError, ClientError)


@dataclass(slots=True)
class Settlement:
    """What became of one reservation.

    generation: of the memory it was reserved in, "" when it was admitted without one. record: an encoded
    UsageRecord, None when nothing was used, which only gives back what was held. at_ms: unix time by this
    machine. attempted, under_way: sent as soon as it was made, and not yet answered.
    """

    organization_id: str
    project_id: str
    request_id: str
    generation: str
    tokens: int
    money: int
    record: bytes | None
    lease_over: bool
    at_ms: int
    settled_at: float = 0.0
    attempted: bool = False
    under_way: bool = False
    sent: bool = False


class Ledger:
    """Open between `open` and `close`, which flushes it."""

    def __init__(
        self, valkey: Valkey, table: LedgerTable, seeding: Seeding, replica: str, notice: Notice
    ) -> None:
        self._valkey = valkey
        self._table = table
        self._seeding = seeding
        self._replica = replica
        self._notice = notice
        self._pending: dict[str, Settlement] = {}
        self._active: dict[str, float] = {}
        self._worker: asyncio.Task[None] | None = None
        self._adopted_at = 0.0
        self._trouble: str | None = None

    @property
    def pending(self) -> int:
        """Settlements that are not known to be in the table."""
        return len(self._pending)

    async def open(self) -> None:
        self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Waits until everything is in the table, as long as its caller lets it."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        try:
            while self._pending:
                with contextlib.suppress(*_UNAVAILABLE):
                    await self._tick()
                if self._pending:
                    await asyncio.sleep(TICK_S / 5)
        finally:
            if self._pending:
                # Most are in the outbox, which another replica moves; the request lines of the log have all.
                log_event("usage_not_flushed", level="warning", requests=len(self._pending))

    def settle(self, settlement: Settlement) -> None:
        """Sends a settlement and does not wait for it; what fails is sent again until it is in the table."""
        settlement.settled_at = time.monotonic()
        self._active[settlement.organization_id] = settlement.settled_at
        if len(self._pending) >= MAX_PENDING:
            dropped = self._pending.pop(next(iter(self._pending)))
            log_event("usage_forgotten", level="error", request_id=dropped.request_id)
        self._pending[settlement.request_id] = settlement
        if settlement.generation:
            if_gone: script.IfGone = "append" if settlement.lease_over else "charge"
            packed = _command(settlement, settlement.generation, if_gone)
            settlement.attempted = settlement.under_way = True
            self._valkey.tell(packed, functools.partial(self._attempted, settlement))

    def _attempted(self, settlement: Settlement, answer: Any) -> None:
        settlement.under_way = False
        if not isinstance(answer, Exception) and answer[0] >= 0:
            self._sent(settlement)

    def _sent(self, settlement: Settlement) -> None:
        if settlement.record is None:
            self._pending.pop(settlement.request_id, None)
        settlement.sent = True

    async def _work(self) -> None:
        while True:
            try:
                await self._tick()
                if self._trouble is not None:
                    log_event("ledger_moves_again")
                    self._trouble = None
                await asyncio.sleep(TICK_S)
            except _UNAVAILABLE as unavailable:
                if self._trouble != str(unavailable):
                    self._trouble = str(unavailable)
                    log_event(
                        "ledger_waits",
                        level="warning",
                        reason=type(unavailable).__name__,
                        pending=len(self._pending),
                    )
                await asyncio.sleep(AFTER_TROUBLE_S)
            except Exception as failure:
                log_exception("ledger_failed", failure)
                await asyncio.sleep(AFTER_TROUBLE_S)

    async def _tick(self) -> None:
        now = time.monotonic()
        visited = {one for one, seen_at in self._active.items() if now - seen_at < ACTIVE_FOR_S}
        if now >= self._adopted_at:
            # Replicas that are gone may have left outboxes of organizations that are not asked for here.
            members = await self._valkey.execute("SMEMBERS", ORGANIZATIONS)
            visited |= {member.decode() for member in members}
            self._active = {one: seen_at for one, seen_at in self._active.items() if one in visited}
            self._adopted_at = now + ADOPT_EVERY_S
        mine: dict[str, list[Settlement]] = defaultdict(list)
        for settlement in self._pending.values():
            mine[settlement.organization_id].append(settlement)
        # In another order each time: one in trouble is in the way of those after it, but not always.
        organizations = list(visited | mine.keys())
        random.shuffle(organizations)
        for organization_id in organizations:
            await script.sweep(self._valkey, organization_id, SWEPT_AT_ONCE)
            await self._hear(organization_id)
            await self._tell_again(organization_id, mine[organization_id])
            await self._drain(organization_id)

    async def _hear(self, organization_id: str) -> None:
        """Forgets what another replica has moved."""
        while heard := await self._valkey.execute("LPOP", self._acks(organization_id, self._replica), 1000):
            for request_id in heard:
                self._pending.pop(request_id.decode(), None)

    async def _tell_again(self, organization_id: str, settlements: Sequence[Settlement]) -> None:
        waiting = [one for one in settlements if one.request_id in self._pending and not one.under_way]
        if not waiting:
            return
        generation = await self._seeding.generation(organization_id)
        late = time.monotonic() - TELL_AGAIN_AFTER_S
        old = [one for one in waiting if one.generation != generation]
        again = [
            one for one in waiting if one.generation == generation and (not one.sent or one.settled_at < late)
        ]
        if any(one.sent for one in again) and await self._valkey.execute(
            "XLEN", script.outbox_key(organization_id)
        ):
            # Not lost, only waiting for its turn or for the table.
            again = [one for one in again if not one.sent]
        for settlement in again:
            await self._send(settlement, settlement.generation, "append")
        await self._recover(organization_id, old, generation)

    async def _send(self, settlement: Settlement, generation: str, if_gone: script.IfGone) -> None:
        answer = await script.run(self._valkey, _command(settlement, generation, if_gone))
        if answer[0] >= 0:
            settlement.generation = generation
            settlement.settled_at = time.monotonic()
            self._sent(settlement)

    async def _recover(
        self, organization_id: str, old: Sequence[Settlement], generation_now: str | None
    ) -> None:
        """Settlements of a memory that is lost: each is in the table, or was charged nowhere that counts."""
        groups: dict[str, list[Settlement]] = defaultdict(list)
        for settlement in old:
            if settlement.record is None and settlement.generation:
                await self._give_back(settlement, generation_now)
            else:
                groups[settlement.generation].append(settlement)
        for generation, settlements in groups.items():
            recorded: frozenset[str] = frozenset()
            if generation:
                records = [decode(one.record, one.at_ms) for one in settlements if one.record is not None]
                written = await self._table.write(organization_id, generation, records)
                recorded = written.recorded
                await self._recorded(organization_id, [one for one in records if one.request_id in recorded])
            for settlement in settlements:
                if settlement.request_id not in recorded:
                    current = await self._current(organization_id, generation)
                    await self._send(settlement, current, "charge")

    async def _give_back(self, settlement: Settlement, generation: str | None) -> None:
        """The next memory may hold it, if it was still running when that was filled."""
        if generation is not None:
            await self._send(settlement, generation, "charge")
        elif time.monotonic() - settlement.settled_at > HELD_AGAIN_WITHIN_S:
            self._pending.pop(settlement.request_id, None)

    async def _current(self, organization_id: str, over: str) -> str:
        """The generation in force, where `over` is not any more."""
        generation = await self._seeding.seed(organization_id)
        if generation == over:
            # Valkey remembers what the table has put an end to: two replicas filled it at once.
            await script.void(self._valkey, organization_id, over)
            generation = await self._seeding.seed(organization_id)
        return generation

    async def _drain(self, organization_id: str) -> None:
        outbox = script.outbox_key(organization_id)
        lock = f"admission:{{{organization_id}}}:drain"
        if not await self._valkey.execute("XLEN", outbox):
            return
        if not await self._valkey.execute("SET", lock, self._replica, "NX", "PX", DRAIN_ALONE_FOR_MS):
            return
        try:
            while True:
                entries = await self._valkey.execute("XRANGE", outbox, "-", "+", "COUNT", MAX_RECORDS)
                await self._move(organization_id, outbox, entries)
                if len(entries) < MAX_RECORDS:
                    # What has come since then makes a fuller transaction on the next tick.
                    break
                await self._valkey.execute("PEXPIRE", lock, DRAIN_ALONE_FOR_MS)
        finally:
            with contextlib.suppress(ValkeyUnavailableError, ValkeyReplyError):
                await self._valkey.execute("DEL", lock)

    async def _move(self, organization_id: str, outbox: str, entries: Sequence[Any]) -> None:
        groups: dict[str, list[UsageRecord]] = defaultdict(list)
        for _, fields in entries:
            _id, generation, at, data = fields[1::2]
            try:
                record = decode(data, int(at))
            except (ValueError, TypeError, KeyError) as damaged:
                log_exception("usage_damaged", damaged)
                continue
            groups[generation.decode()].append(record)
        for generation, records in groups.items():
            written = await self._table.write(organization_id, generation, records)
            in_table = [record for record in records if record.request_id in written.recorded]
            for record in records:
                if record.request_id not in written.recorded:
                    await self._charge_elsewhere(record, generation)
            await self._recorded(organization_id, in_table)
        if entries:
            await self._valkey.execute("XDEL", outbox, *(entry_id for entry_id, _ in entries))

    async def _charge_elsewhere(self, record: UsageRecord, over: str) -> None:
        """A record of the outbox whose generation is over before it came into the table."""
        current = await self._current(record.organization_id, over)
        settled = await script.settle(
            self._valkey,
            record.organization_id,
            record.request_id,
            generation=current,
            tokens=0,
            money=record.micro_usd,
            record=record.encode(),
            if_gone="charge",
            at_ms=record.at_ms,
            budgets=_budgets(record.project_id),
        )
        if not settled.done:
            raise ValkeyUnavailableError("the memory was lost again")

    async def _recorded(self, organization_id: str, records: Sequence[UsageRecord]) -> None:
        others: dict[str, list[str]] = defaultdict(list)
        for record in records:
            self._pending.pop(record.request_id, None)
            if record.replica != self._replica:
                others[record.replica].append(record.request_id)
        for replica, request_ids in others.items():
            acks = self._acks(organization_id, replica)
            await self._valkey.execute("RPUSH", acks, *request_ids)
            await self._valkey.execute("EXPIRE", acks, ACKS_KEPT_S)
        if not records:
            return
        try:
            await self._notice(organization_id, records)
        except Exception as failure:
            # They are in the table: whoever is told of it must not keep them in the outbox.
            log_exception("notice_failed", failure, organization_id=organization_id)

    @staticmethod
    def _acks(organization_id: str, replica: str) -> str:
        return f"admission:{{{organization_id}}}:recorded:{replica}"


def _command(settlement: Settlement, generation: str, if_gone: script.IfGone) -> bytes:
    # The server's own clock dates what is settled in time; what comes late is dated as it was.
    late = settlement.attempted or not settlement.generation
    return script.settle_command(
        settlement.organization_id,
        settlement.request_id,
        generation,
        settlement.tokens,
        settlement.money,
        settlement.record or b"",
        if_gone,
        settlement.at_ms if late else 0,
        *(() if settlement.record is None else _budgets(settlement.project_id)),
    )


def _budgets(project_id: str) -> tuple[str, str]:
    return project_budget(project_id), ORGANIZATION_BUDGET
