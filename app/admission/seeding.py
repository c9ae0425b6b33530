"""Gives Valkey an organization's month to date from the table, when it has no memory of it, and holds again
what open batches have reserved, and what replicas run when a memory was lost.

By one replica at a time; the others wait for it.
"""

import asyncio
import secrets
from datetime import UTC, datetime

from app.admission import script
from app.admission.outstanding import GATHER_S, gather
from app.admission.plan import ORGANIZATION_BUDGET, project_budget
from app.ledger_table import LedgerTable
from app.telemetry import log_event
from app.valkey import Valkey, ValkeyUnavailableError

ALONE_FOR_MS = 8_000
WAIT_S = 3.0 + GATHER_S
LOOK_EVERY_S = 0.02
ORGANIZATIONS = "admission:organizations"
"""A set: whose outboxes there are."""


class Seeding:
    """Seeds what is missing. Raises TableUnavailableError, ValkeyUnavailableError, ValkeyReplyError."""

    def __init__(self, valkey: Valkey, table: LedgerTable, gather_s: float = GATHER_S) -> None:
        self._valkey = valkey
        self._gather_s = gather_s
        self._table = table
        self._under_way: dict[str, asyncio.Task[str]] = {}

    async def seed(self, organization_id: str) -> str:
        """Returns the generation in force, an existing one or a new one."""
        task = self._under_way.get(organization_id)
        if task is None:
            task = asyncio.create_task(self._seed(organization_id))
            self._under_way[organization_id] = task
            task.add_done_callback(lambda done: self._ended(organization_id, done))
        return await asyncio.shield(task)

    async def generation(self, organization_id: str) -> str | None:
        """The generation of Valkey's memory, None when it has none."""
        found = await self._valkey.execute("HGET", script.keys(organization_id)[0], "generation")
        return None if found is None else found.decode()

    def _ended(self, organization_id: str, task: "asyncio.Task[str]") -> None:
        del self._under_way[organization_id]
        if not task.cancelled():
            task.exception()

    async def _seed(self, organization_id: str) -> str:
        deadline = asyncio.get_running_loop().time() + WAIT_S
        lock = f"admission:{{{organization_id}}}:seeding"
        while True:
            known = await self.generation(organization_id)
            if known is not None:
                return known
            if await self._valkey.execute("SET", lock, "1", "NX", "PX", ALONE_FOR_MS):
                break
            if asyncio.get_running_loop().time() > deadline:
                raise ValkeyUnavailableError("another replica does not finish filling the memory")
            await asyncio.sleep(LOOK_EVERY_S)
        try:
            # Another may have filled it between the look and the lock.
            return await self.generation(organization_id) or await self._seed_alone(organization_id)
        finally:
            await self._valkey.execute("DEL", lock)

    async def _seed_alone(self, organization_id: str) -> str:
        generation = secrets.token_hex(8)
        seconds, _ = await self._valkey.execute("TIME")
        now = datetime.fromtimestamp(int(seconds), UTC)
        begun = await self._table.begin_generation(organization_id, generation, f"{now:%Y-%m}")
        fields = [
            (
                ORGANIZATION_BUDGET if scope == "ORG" else project_budget(scope.removeprefix("PROJECT#")),
                micro_usd,
            )
            for scope, micro_usd in begun.spent.items()
        ]
        leases = [
            script.Lease(
                request_id=batch.request_id,
                lasts_ms=max(0, batch.held_until_ms - int(seconds) * 1000),
                money=batch.held_micro_usd,
                meta=batch.expired.encode(),
                budgets=(project_budget(batch.project_id), ORGANIZATION_BUDGET),
            )
            for batch in await self._table.open_batches(organization_id)
        ]
        if not begun.is_first:
            leases += await gather(self._valkey, organization_id, generation, self._gather_s)
        await self._valkey.execute("SADD", ORGANIZATIONS, organization_id)
        in_force = await script.seed(
            self._valkey, organization_id, generation, now.year * 12 + now.month - 1, fields, leases
        )
        log_event("memory_filled", organization_id=organization_id, generation=in_force)
        return in_force
