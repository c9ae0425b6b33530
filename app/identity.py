"""Who a request is from: bearer key to caller, by the key's hash, with a cache of seconds.

A record is used for FRESH_S after it was read, so a revoked key or a changed limit takes effect everywhere
within that time. When the table does not answer, records that were read within STALE_S stay good: nothing can
be revoked in a table that cannot be reached, and its outage must not become everybody's.
"""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from app import errors
from app.keys import KeyRecord, hash_key, looks_like_key
from app.table import Table, TableUnavailableError
from app.telemetry import log_event

FRESH_S = 4.0
UNKNOWN_FRESH_S = 2.0
STALE_S = 300.0
RETRY_AFTER_FAILURE_S = 1.0
MAX_RECORDS = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request is counted for. requests_per_minute: the limit in force."""

    key_id: str
    organization_id: str
    project_id: str
    requests_per_minute: int


@dataclass(slots=True)
class _Remembered:
    record: KeyRecord | None
    read_at: float
    fresh_until: float


class Identity:
    """Resolves keys. All times are of the monotonic clock."""

    def __init__(self, table: Table, pepper: str, default_requests_per_minute: int) -> None:
        self._table = table
        self._pepper = pepper
        self._default_requests_per_minute = default_requests_per_minute
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[KeyRecord | None]] = {}

    async def identify(
        self, authorization: str | None, organization: str | None, project: str | None
    ) -> Caller:
        """The caller of a request with these headers. Raises ApiError (401, 503)."""
        key = bearer_token(authorization)
        if key is None:
            raise errors.no_key()
        if not looks_like_key(key):
            raise errors.wrong_key()
        record = await self._record(hash_key(self._pepper, key))
        if record is None or record.status != "active":
            raise errors.wrong_key()
        if organization and organization != record.organization_id:
            raise errors.mismatched_scope("OpenAI-Organization", "mismatched_organization")
        if project and project != record.project_id:
            raise errors.mismatched_scope("OpenAI-Project", "mismatched_project")
        return Caller(
            key_id=record.id,
            organization_id=record.organization_id,
            project_id=record.project_id,
            requests_per_minute=record.requests_per_minute or self._default_requests_per_minute,
        )

    async def _record(self, key_hash: str) -> KeyRecord | None:
        remembered = self._remembered.get(key_hash)
        if remembered is not None and time.monotonic() < remembered.fresh_until:
            return remembered.record
        lookup = self._lookups.get(key_hash)
        if lookup is None:
            lookup = asyncio.create_task(self._look_up(key_hash, remembered))
            self._lookups[key_hash] = lookup
            lookup.add_done_callback(lambda done: self._looked_up(key_hash, done))
        # Shielded: a caller who leaves must not take the answer from those who wait for the same key.
        return await asyncio.shield(lookup)

    def _looked_up(self, key_hash: str, lookup: "asyncio.Task[KeyRecord | None]") -> None:
        del self._lookups[key_hash]
        if not lookup.cancelled():
            lookup.exception()

    async def _look_up(self, key_hash: str, remembered: _Remembered | None) -> KeyRecord | None:
        read_at = time.monotonic()
        try:
            record = await self._table.key_record(key_hash)
        except TableUnavailableError as unavailable:
            log_event("table_unavailable", level="warning", reason=unavailable.reason)
            if remembered is None or remembered.record is None or read_at - remembered.read_at > STALE_S:
                raise errors.keys_unavailable() from None
            remembered.fresh_until = time.monotonic() + RETRY_AFTER_FAILURE_S
            return remembered.record
        # Counted from before the read: what the table said may have changed while the answer was on its way.
        fresh_s = FRESH_S if record is not None else UNKNOWN_FRESH_S
        self._remembered[key_hash] = _Remembered(record, read_at, read_at + fresh_s)
        self._remembered.move_to_end(key_hash)
        if len(self._remembered) > MAX_RECORDS:
            self._remembered.popitem(last=False)
        return record


def bearer_token(authorization: str | None) -> str | None:
    """The token of an Authorization header of the scheme Bearer, None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
