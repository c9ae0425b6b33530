"""What replicas have admitted under a budget and not settled, for the memory that comes after a lost one.

Whoever fills that memory asks for it, by a name in GATHERING; each replica looks there every LOOK_EVERY_S and
adds what it has to a list. So what is running when Valkey loses its memory is held by the next one, and no
budget is spent twice. A replica that does not reach Valkey within that time is not heard: what it runs is
charged when it ends.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator

from app.admission.hold import Hold
from app.admission.plan import ORGANIZATION_BUDGET, project_budget
from app.admission.script import Lease
from app.valkey import Argument, Valkey, ValkeyReplyError, ValkeyUnavailableError

GATHERING = "admission:gathering"
"""A set: the generations that are about to begin, each with its organization."""

LOOK_EVERY_S = 0.2
GATHER_S = 2.5
"""As long as a replica takes that lost its connection, to connect again and to look."""

KEPT_S = 60
TOLD_AT_ONCE = 500


class Outstanding:
    """Of this replica. Looks between `open` and `close`. lease_s: how long a request may take."""

    def __init__(self, valkey: Valkey, lease_s: float) -> None:
        self._valkey = valkey
        self._lease_s = lease_s
        self._holds: dict[str, Hold] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._look())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def add(self, hold: Hold) -> None:
        self._holds[hold.request_id] = hold

    def remove(self, hold: Hold) -> None:
        self._holds.pop(hold.request_id, None)

    async def _look(self) -> None:
        told: set[bytes] = set()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if not self._holds:
                continue
            with contextlib.suppress(ValkeyUnavailableError, ValkeyReplyError):
                asked = set(await self._valkey.execute("SMEMBERS", GATHERING))
                for one in asked - told:
                    await self._tell(*one.decode().split(" ", 1))
                told = asked

    async def _tell(self, generation: str, organization_id: str) -> None:
        key = _key(organization_id, generation)
        leases = self._leases(organization_id)
        while some := list(itertools.islice(leases, TOLD_AT_ONCE)):
            await self._valkey.execute("RPUSH", key, *itertools.chain.from_iterable(some))
            await self._valkey.execute("EXPIRE", key, KEPT_S)

    def _leases(self, organization_id: str) -> Iterator[tuple[Argument, ...]]:
        now = time.monotonic()
        for hold in list(self._holds.values()):
            if hold.caller.organization_id == organization_id:
                lasts_ms = max(0, int((hold.began + self._lease_s - now) * 1000))
                yield hold.request_id, lasts_ms, hold.money, hold.expired, hold.caller.project_id


async def gather(
    valkey: Valkey, organization_id: str, generation: str, within_s: float = GATHER_S
) -> list[Lease]:
    """What all replicas have admitted and not settled, to be held by a generation that has not begun yet.

    Raises ValkeyUnavailableError, ValkeyReplyError.
    """
    name, key = f"{generation} {organization_id}", _key(organization_id, generation)
    await valkey.execute("SADD", GATHERING, name)
    await valkey.execute("EXPIRE", GATHERING, KEPT_S)
    await asyncio.sleep(within_s)
    told = await valkey.execute("LRANGE", key, 0, -1)
    await valkey.execute("SREM", GATHERING, name)
    fields = iter(told)
    return [
        Lease(
            request_id=request_id.decode(),
            lasts_ms=int(lasts_ms),
            money=int(money),
            meta=meta,
            budgets=(project_budget(project_id.decode()), ORGANIZATION_BUDGET),
        )
        for request_id, lasts_ms, money, meta, project_id in zip(*[fields] * 5, strict=True)
    ]


def _key(organization_id: str, generation: str) -> str:
    return f"admission:{{{organization_id}}}:outstanding:{generation}"
