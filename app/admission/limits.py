"""Admits a request within its key's requests-per-minute limit, the same one for all replicas.

When Valkey is gone or slow, each replica holds the whole limit by itself: a key then gets at most its limit
times the number of replicas, never without bound, and nobody is refused for a fault of ours.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app import errors
from app.admission.rates import MINUTE_MS, LocalLimits, Standing
from app.errors import Header
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

if TYPE_CHECKING:
    from app.identity import Caller

SCRIPT = Path(__file__).with_name("gcra.lua").read_bytes()
SCRIPT_SHA1 = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """A request was let through. limiter: "valkey", or "local" when the shared limit was out of reach."""

    headers: list[Header]
    limiter: str


class Admission:
    """Asks for every request; keeps nothing but the local limits of an outage."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._local = LocalLimits()
        self._is_local = False

    async def admit(self, caller: "Caller") -> Grant:
        """Counts one request. Raises ApiError (429), with nothing counted."""
        key = requests_key(caller)
        limit = caller.scopes.key.requests_per_minute or 1
        try:
            standing = await take_shared(self._valkey, key, limit, MINUTE_MS)
            limiter = "valkey"
            if self._is_local:
                self._is_local = False
                self._local.clear()
        except (ValkeyUnavailableError, ValkeyReplyError):
            self._is_local = True
            limiter = "local"
            standing = self._local.take(key, int(time.monotonic() * 1000), limit, MINUTE_MS)
        headers = standing.headers("requests")
        if not standing.allowed:
            refusal = errors.too_many_requests(limit, standing.wait_ms)
            refusal.headers += tuple(headers)
            raise refusal
        return Grant(headers, limiter)


def requests_key(caller: "Caller") -> str:
    """The braces keep what one script may touch together, the organization's, in one slot of a cluster."""
    return f"limit:{{{caller.organization_id}}}:{caller.key_id}:requests"


async def take_shared(valkey: Valkey, key: str, limit: int, period_ms: int, cost: int = 1) -> Standing:
    """Runs the script for one limit. Raises ValkeyUnavailableError, ValkeyReplyError."""
    arguments = (1, key, limit, period_ms, cost)
    try:
        answer = await valkey.execute("EVALSHA", SCRIPT_SHA1, *arguments)
    except ValkeyReplyError as refused:
        # A server that was restarted or took over does not know the script yet; EVAL also teaches it.
        if refused.code != "NOSCRIPT":
            raise
        answer = await valkey.execute("EVAL", SCRIPT, *arguments)
    allowed, remaining, reset_ms, wait_ms = answer
    return Standing(
        allowed=allowed == 1, limit=limit, remaining=remaining, reset_ms=reset_ms, wait_ms=wait_ms
    )
