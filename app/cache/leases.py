"""Which replica asks the upstream: a lease in the place of the answer, which replaces it.

The lease is short and renewed while its holder works, so a holder that was killed is waited for no longer
than LEASE_MS. Without Valkey everybody asks.
"""

import asyncio
import itertools
import secrets
from typing import Any

from app.cache.slot import Slot
from app.deadlines import Deadlines
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

LEASE_MS = 3000
RENEW_AFTER_S = 1.0

_TAKE = """
if redis.call('GETRANGE', KEYS[1], 1, #ARGV[1]) == ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
"""Unless an answer or a lease under the same epochs stands there already."""

_CHANGE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
"""Of one's own lease only: with 0 ms it ends."""


class Lease:
    """One replica's leave to ask; renewed until `end`."""

    __slots__ = ("_slot", "_valkey", "_value")

    def __init__(self, valkey: Valkey, slot: Slot, value: bytes) -> None:
        self._valkey = valkey
        self._slot = slot
        self._value = value
        _UNRENEWED.set(self)

    def end(self, *, replaced: bool) -> None:
        """replaced: the answer stands in its place. Otherwise those who wait for it see that none comes."""
        _UNRENEWED.clear(self)
        if not replaced:
            self._change(0)

    def passed(self) -> None:
        """It is time to renew it."""
        self._change(LEASE_MS)
        _UNRENEWED.set(self)

    def _change(self, left_ms: int) -> None:
        changed = self._valkey.execute("EVAL", _CHANGE, 1, self._slot.key, self._value, left_ms)
        changed.add_done_callback(_seen)


async def take(valkey: Valkey, slot: Slot) -> Lease | None:
    """None when the answer is there or on its way."""
    value = slot.lease(new_token())
    taking = valkey.execute("EVAL", _TAKE, 1, slot.key, slot.epochs + b" ", value, LEASE_MS)
    try:
        taken = await asyncio.shield(taking)
    except (ValkeyUnavailableError, ValkeyReplyError):
        taken = True
    except BaseException:
        # The caller left while the answer was on its way: it may have been a yes.
        Lease(valkey, slot, value).end(replaced=False)
        raise
    return Lease(valkey, slot, value) if taken else None


def new_token() -> str:
    """Nobody else's."""
    return f"{_PROCESS}{next(_numbers):x}"


_PROCESS = secrets.token_hex(8)
_numbers = itertools.count()
_UNRENEWED = Deadlines(RENEW_AFTER_S)


def _seen(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()
