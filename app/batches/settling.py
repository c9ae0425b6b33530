"""From a batch's end to the ledger: what it used instead of what was held, once, whoever comes first.

A batch that has ended is concluded in one transaction: its usage is noted beside what it holds, its files
become the project's. From then on the usage is settled again and again in the memory in force, until it is in
the table, where it counts once; then the batch is held no more. So the memory may be lost, and replicas may
be killed or do the same, at any point.
"""

import contextlib
from collections.abc import Awaitable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app import errors
from app.admin.layout import Item
from app.admission import script
from app.admission.plan import ORGANIZATION_BUDGET, project_budget
from app.admission.seeding import Seeding
from app.batches.lines import URLS
from app.batches.open_batch import OpenBatch
from app.batches.output import Used, lines
from app.batches.records import ChangedError, Records
from app.ledger_record import encode, shared
from app.ledger_rollups import BATCHES
from app.ledger_table import LedgerTable
from app.prices import NO_SHARES, read_price
from app.telemetry import RequestRecord, log_event
from app.upstream import Answer, Kept, Upstream, UpstreamRefusal
from app.usage import Usage
from app.valkey import Valkey

ENDED = ("completed", "failed", "expired", "cancelled")
_CANCELLED = ("cancelling", "cancelled")
MARK = "gateway_request_id"
"""What the metadata of a batch has upstream, so that one is found whose making broke off."""

MADE_WITHIN_S = 180.0
"""Until then a batch may be on its way to the upstream."""

CLOCKS_APART_S = 600
ASKED_WITHIN_S = 30.0
PAGE = 100


@dataclass(slots=True)
class Nobody:
    """Whom the gateway asks for on its own account."""

    record: RequestRecord = field(default_factory=lambda: RequestRecord("", "GET", ""))

    def header(self, name: bytes) -> str | None:  # noqa: ARG002
        return None

    def has_any(self, names: Set[bytes]) -> bool:  # noqa: ARG002
        return False


class Settling:
    """Methods raise ApiError, TableUnavailableError, ValkeyUnavailableError, ValkeyReplyError; whoever calls
    comes again. replica: this process, as the ledger calls it."""

    def __init__(
        self,
        valkey: Valkey,
        seeding: Seeding,
        ledger_table: LedgerTable,
        records: Records,
        upstream: Upstream,
        replica: str,
    ) -> None:
        self._valkey = valkey
        self._seeding = seeding
        self._ledger_table = ledger_table
        self._records = records
        self._upstream = upstream
        self._replica = replica

    async def now_s(self) -> float:
        """Unix time by the one clock that all replicas have."""
        seconds, _ = await self._valkey.execute("TIME")
        return float(seconds)

    async def look_at(self, batch: OpenBatch, now_s: float) -> None:
        """Brings a batch as far as it can be brought."""
        if batch.ended or await self._ledger_table.recorded([batch.request_id]):
            await self._settle(batch, batch.micro_usd, batch.record.encode())
        elif not batch.batch_id:
            await self._find(batch, now_s)
        else:
            item = await self._records.get("BATCH", batch.project_id, batch.batch_id)
            value = await self._told(batch.batch_id) if item is not None else None
            if item is not None and value is not None:
                await self.take_up(item, value)

    async def take_up(self, item: Item, value: Mapping[str, Any]) -> bool:
        """What the upstream tells of a batch. True when the project may be told of its end."""
        if item["concluded"]:
            return True
        if value["status"] not in ENDED:
            await _unless_changed(self._records.seen(item, value))
            return True
        batch = await self._records.held(item["organization_id"], item["request_id"])
        used = Used() if batch is None else await self._used(batch, value)
        record, micro_usd = (b"", 0) if batch is None else self._record(batch, used)
        files = [
            await self._file(value[name]) for name in ("output_file_id", "error_file_id") if value.get(name)
        ]
        try:
            await self._records.concluded(item, value, files, record.decode(), micro_usd)
        except ChangedError:
            # Another was faster; what it wrote is the same.
            return False
        if batch is not None:
            await self._settle(batch, micro_usd, record)
        return True

    async def _settle(self, batch: OpenBatch, micro_usd: int, record: bytes) -> None:
        """Charges what a batch used, unless that is done; then, or if it used nothing, it is held no more."""
        generation = await self._seeding.seed(batch.organization_id)
        # Asked after the generation: what is not in the table now was not in what this memory began with.
        if await self._ledger_table.recorded([batch.request_id]):
            # Settled, or charged in full when its time was over.
            micro_usd, record = 0, b""
        try:
            settled = await script.settle(
                self._valkey,
                batch.organization_id,
                batch.request_id,
                generation=generation,
                tokens=0,
                money=micro_usd,
                record=record,
                # Every memory begins with the leases of all open batches: one that is gone was settled here.
                if_gone="append",
                budgets=(project_budget(batch.project_id), ORGANIZATION_BUDGET),
            )
        except script.UnseededError:
            raise errors.batches_unavailable() from None
        if not settled.done:
            raise errors.batches_unavailable()
        if not record:
            await self._records.forget(batch)

    async def _find(self, batch: OpenBatch, now_s: float) -> None:
        """Whether a batch was made whose making broke off, by the mark in its metadata."""
        if now_s < batch.created_at + MADE_WITHIN_S:
            return
        marked = await self._marked(batch)
        if not marked:
            await self._settle(batch, 0, b"")
            return
        # Something on the way may have asked twice: money is held for one.
        kept = next((value for value in marked if value["status"] not in _CANCELLED), marked[0])
        for value in marked:
            if value is not kept and value["status"] not in (*ENDED, "cancelling"):
                await self._cancel(str(value["id"]))
        await _unless_changed(self._records.begun(batch, without_mark(kept)))

    async def _marked(self, batch: OpenBatch) -> list[Mapping[str, Any]]:
        """The upstream's batches that have the mark of one, the oldest first."""
        marked: list[Mapping[str, Any]] = []
        after = ""
        while True:
            page = await self._ask(f"/batches?limit={PAGE}{after}")
            listed = page.value.get("data")
            if not isinstance(listed, list):
                raise errors.upstream_malformed()
            marked += (one for one in listed if (one.get("metadata") or {}).get(MARK) == batch.request_id)
            if not page.value.get("has_more") or not listed:
                break
            if int(listed[-1]["created_at"]) < batch.created_at - CLOCKS_APART_S:
                break
            after = f"&after={quote(str(listed[-1]['id']), safe='')}"
        return marked[::-1]

    async def _cancel(self, batch_id: str) -> None:
        path = f"/batches/{quote(batch_id, safe='')}/cancel"
        answer = await self._upstream.complete("POST", path, Nobody(), within_s=ASKED_WITHIN_S, kept=Kept())
        if answer.status >= 500:
            raise errors.upstream_failed(answer.status)
        log_event("batch_twice", level="error", batch_id=batch_id)

    async def _told(self, batch_id: str) -> Mapping[str, Any] | None:
        """What the upstream tells of a batch, None when it knows none."""
        answer = await self._ask("/batches/" + quote(batch_id, safe=""), missing=True)
        return without_mark(answer.value) if answer.status == 200 else None

    async def _file(self, file_id: str) -> Mapping[str, Any]:
        return (await self._ask("/files/" + quote(str(file_id), safe=""))).value

    async def _ask(self, path: str, *, missing: bool = False) -> Answer:
        answer = await self._upstream.complete("GET", path, Nobody(), within_s=ASKED_WITHIN_S, kept=Kept())
        if answer.status != 200 and not (missing and answer.status == 404):
            raise errors.upstream_failed(answer.status)
        return answer

    async def _used(self, batch: OpenBatch, value: Mapping[str, Any]) -> Used:
        """What the output file tells. A file that is not there tells nothing of what was completed."""
        used = Used()
        completed = (value.get("request_counts") or {}).get("completed") or 0
        output = value.get("output_file_id")
        if not output:
            used.untold = completed > 0
            return used
        endpoint = URLS["/v1" + batch.endpoint]
        price = read_price(batch.price) if batch.price else None
        try:
            async with self._upstream.download(
                f"/files/{quote(str(output), safe='')}/content", Nobody()
            ) as response:
                async for line in lines(response.content):
                    used.add(line, endpoint, price)
        except UpstreamRefusal as refusal:
            if refusal.answer.status != 404:
                raise errors.upstream_failed(refusal.answer.status) from None
            used.untold = True
        return used

    def _record(self, batch: OpenBatch, used: Used) -> tuple[bytes, int]:
        """What is recorded of a batch, nothing when it used nothing, and its money."""
        if not used.requests and not used.untold:
            return b"", 0
        usage, micro_usd, shares = used.usage or Usage(0, 0, 0), used.micro_usd, used.shares
        is_free = batch.held_micro_usd == 0
        if used.untold and not is_free:
            # Nobody knows what the rest used: all that was held.
            usage.estimated, micro_usd, shares = True, batch.held_micro_usd, NO_SHARES
        beginning = shared(
            batch.organization_id,
            batch.project_id,
            batch.key_id,
            BATCHES + batch.endpoint,
            batch.model,
            "default",
            batch.user_id,
            self._replica,
            bool(batch.price),
            used.requests or batch.requests,
        )
        return encode(beginning, batch.request_id, "answered", usage, micro_usd, shares), micro_usd


def without_mark(value: Mapping[str, Any]) -> dict[str, Any]:
    """A batch as its project may see it."""
    metadata = {name: text for name, text in (value.get("metadata") or {}).items() if name != MARK}
    return {**value, "metadata": metadata or None}


async def _unless_changed(writing: Awaitable[None]) -> None:
    with contextlib.suppress(ChangedError):
        await writing
