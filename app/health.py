"""Whether this process serves (`/healthz`) and whether what it depends on does (`/readyz`).

The load balancer asks the first, which looks at nothing shared: ECS replaces tasks that fail it, and an
outage of the cache must not make it replace every one. People and deployments ask the second.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from app.lifecycle import Lifecycle
from app.table import Table, TableUnavailableError
from app.upstream import Upstream
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError
from app.vault import RotatingSecret, Vault

T = TypeVar("T")

SEED = "set it with `python -m infra.seed --stack STACK`"
REPORT_FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What /readyz answers. checks: per dependency {"ok": …, "ms": …, "detail": … when it is not}."""

    ready: bool
    body: dict[str, object]


class Readiness:
    """Checks the dependencies, all at once, and at most every REPORT_FRESH_S: anyone may ask."""

    def __init__(
        self, lifecycle: Lifecycle, table: Table, valkey: Valkey, vault: Vault, upstream: Upstream
    ) -> None:
        self._lifecycle = lifecycle
        self._checks: dict[str, Callable[[], Awaitable[str | None]]] = {
            "table": lambda: _table(table),
            "cache": lambda: _cache(valkey),
            "cache_secret": lambda: _secret(vault.cache_user),
            "openai_key": lambda: _openai_key(vault, upstream),
        }
        self._checking: asyncio.Task[dict[str, dict[str, object]]] | None = None
        self._checked_at = 0.0

    async def report(self) -> Report:
        now = time.monotonic()
        if self._checking is None or (self._checking.done() and now - self._checked_at > REPORT_FRESH_S):
            self._checked_at = now
            self._checking = asyncio.create_task(self._check_all())
        checks = await asyncio.shield(self._checking)
        if self._lifecycle.draining:
            return Report(False, {"status": "draining", "checks": checks})
        ready = all(check["ok"] for check in checks.values())
        return Report(ready, {"status": "ready" if ready else "not_ready", "checks": checks})

    async def _check_all(self) -> dict[str, dict[str, object]]:
        results = await asyncio.gather(*(_timed(check) for check in self._checks.values()))
        return dict(zip(self._checks, results, strict=True))


async def _timed(check: Callable[[], Awaitable[str | None]]) -> dict[str, object]:
    began = time.monotonic()
    trouble = await check()
    result: dict[str, object] = {
        "ok": trouble is None,
        "ms": round((time.monotonic() - began) * 1000, 2),
    }
    if trouble is not None:
        result["detail"] = trouble
    return result


async def _table(table: Table) -> str | None:
    try:
        await table.check()
    except TableUnavailableError as unavailable:
        return f"the table cannot be read: {unavailable.reason}"
    return None


async def _cache(valkey: Valkey) -> str | None:
    try:
        await valkey.execute("PING")
    except (ValkeyUnavailableError, ValkeyReplyError):
        return f"the cache cannot be used: {valkey.trouble or 'it did not answer'}"
    return None


async def _openai_key(vault: Vault, upstream: Upstream) -> str | None:
    troubles = (await _secret(vault.openai_key), upstream.trouble)
    return "; ".join(trouble for trouble in troubles if trouble) or None


async def _secret(secret: RotatingSecret[T]) -> str | None:
    if secret.value is None:
        return f"the secret cannot be used: {secret.trouble}; {SEED}"
    if secret.trouble is not None:
        return f"the last good value is in use; the secret could not be read again: {secret.trouble}"
    return None
