"""Looks at the open batches once a minute, one replica at a time, and settles those that have ended."""

import asyncio

from app.batches.records import ChangedError, Records
from app.batches.settling import Settling
from app.errors import ApiError
from app.table import TableUnavailableError
from app.telemetry import log_event, log_exception
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

TURN = "batches:turn"
"""A key of Valkey's: there while it is another's turn, or nobody's."""

TURN_MS = 60_000
ASK_EVERY_S = 2.0

_UNAVAILABLE = (ApiError, ChangedError, TableUnavailableError, ValkeyUnavailableError, ValkeyReplyError)


class BatchWatch:
    """Works between `open` and `close`."""

    def __init__(self, valkey: Valkey, records: Records, settling: Settling, replica: str) -> None:
        self._valkey = valkey
        self._records = records
        self._settling = settling
        self._replica = replica
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stops; what was not done by now is done by another replica."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while True:
            try:
                if await self._valkey.execute("SET", TURN, self._replica, "NX", "PX", TURN_MS):
                    await self.look()
            except _UNAVAILABLE as unavailable:
                log_event("batches_wait", level="warning", reason=type(unavailable).__name__)
            except Exception as failure:
                log_exception("batches_failed", failure)
            await asyncio.sleep(ASK_EVERY_S)

    async def look(self) -> None:
        """At every open batch. One that fails keeps nobody else from being looked at."""
        now_s = await self._settling.now_s()
        for batch in await self._records.open():
            try:
                await self._settling.look_at(batch, now_s)
            except _UNAVAILABLE as failure:
                log_event(
                    "batch_waits",
                    level="warning",
                    batch_id=batch.batch_id,
                    request_id=batch.request_id,
                    reason=getattr(failure, "code", None) or type(failure).__name__,
                )
