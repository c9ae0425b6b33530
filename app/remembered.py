"""Records of the table, remembered for seconds: fresh, or good enough while the table does not answer.

A record is used for FRESH_S after it was read, so a change takes effect everywhere within that time. When the
table does not answer, records that were read within STALE_S stay good: nothing can be changed in a table that
cannot be reached, and its outage must not become everybody's.

Names of nothing have few places of their own: whoever tries many takes none from records.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.table import TableUnavailableError
from app.telemetry import log_event

FRESH_S = 4.0
UNKNOWN_FRESH_S = 2.0
STALE_S = 300.0
RETRY_AFTER_FAILURE_S = 1.0
MAX_RECORDS = 10_000
MAX_UNKNOWN = 1_000

T = TypeVar("T")
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[T]):
    record: T
    read_at: float
    fresh_until: float


class Remembered(Generic[T]):
    """Records by name, None for one that does not exist. All times are of the monotonic clock."""

    def __init__(self, read: Callable[[str], Awaitable[T | None]]) -> None:
        self._read = read
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._unknown_until: OrderedDict[str, float] = OrderedDict()
        self._reading: dict[str, asyncio.Task[T | None]] = {}

    def __len__(self) -> int:
        return len(self._entries) + len(self._unknown_until)

    def fresh(self, name: str) -> T | None:
        """A record that needs no look into the table; None when there is none."""
        entry = self._entries.get(name)
        return entry.record if entry is not None and time.monotonic() < entry.fresh_until else None

    async def get(self, name: str) -> T | None:
        """Raises TableUnavailableError when the record is neither known nor to be had."""
        entry, now = self._entries.get(name), time.monotonic()
        if entry is not None and now < entry.fresh_until:
            return entry.record
        if now < self._unknown_until.get(name, now):
            return None
        reading = self._reading.get(name)
        if reading is None:
            reading = asyncio.create_task(self._look_up(name, entry))
            self._reading[name] = reading
            reading.add_done_callback(lambda done: self._looked_up(name, done))
        # Shielded: a caller who leaves must not take the answer from those who wait for the same record.
        return await asyncio.shield(reading)

    def _looked_up(self, name: str, lookup: "asyncio.Task[T | None]") -> None:
        del self._reading[name]
        if not lookup.cancelled():
            lookup.exception()

    async def _look_up(self, name: str, entry: _Entry[T] | None) -> T | None:
        read_at = time.monotonic()
        try:
            record = await self._read(name)
        except TableUnavailableError as unavailable:
            log_event("table_unavailable", level="warning", reason=unavailable.reason)
            if entry is None or read_at - entry.read_at > STALE_S:
                raise
            entry.fresh_until = time.monotonic() + RETRY_AFTER_FAILURE_S
            return entry.record
        # Counted from before the read: what the table said may have changed while the answer was on its way.
        if record is None:
            self._entries.pop(name, None)
            _remember(self._unknown_until, name, read_at + UNKNOWN_FRESH_S, MAX_UNKNOWN)
            return None
        if entry is not None and entry.record == record:
            # The same object for the same record, so that what was derived from it stays.
            record = entry.record
        self._unknown_until.pop(name, None)
        _remember(self._entries, name, _Entry(record, read_at, read_at + FRESH_S), MAX_RECORDS)
        return record


def _remember(names: OrderedDict[str, V], name: str, value: V, most: int) -> None:
    names[name] = value
    names.move_to_end(name)
    if len(names) > most:
        names.popitem(last=False)
