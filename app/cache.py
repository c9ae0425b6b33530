"""Answers that are repeatable are kept in Valkey and given again to the same project for the same request.

An entry carries its namespace's epoch. Lookup reads epoch and entry in one round trip, and an entry of
another epoch is a miss; so new information invalidates a whole namespace by changing one value, and a stale
answer that was under way during the change is stored under the epoch it began in, where nobody finds it.
"""

import hashlib
import re
from dataclasses import dataclass

import orjson

from app.endpoints.endpoint import ApiRequest
from app.identity import Caller
from app.telemetry import CacheOutcome
from app.valkey import Valkey, ValkeyReplyError, ValkeyUnavailableError

MAX_ANSWER_BYTES = 1024 * 1024
_FORMAT = b"1"
# The parser turns integers beyond 64 bits and long decimals into the nearest double; two that differ only
# there must not share an answer. Such a request is compared byte for byte.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the cache said. `answer`: on a hit. `slot`: where a complete answer belongs, None when nowhere."""

    outcome: CacheOutcome
    answer: bytes | None = None
    slot: "Slot | None" = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one answer. `epoch`: the namespace's when the request began."""

    key: str
    epoch: bytes


BYPASS = Lookup("bypass")


class ResponseCache:
    """Without Valkey every request is a bypass: the cache is never the reason that one fails."""

    def __init__(self, valkey: Valkey, ttl_s: int, upstream_url: str) -> None:
        self._valkey = valkey
        self._ttl_s = ttl_s
        self._upstream_url = upstream_url

    async def look_up(self, request: ApiRequest, caller: Caller, cache_control: str | None) -> Lookup:
        """Looks for an answer.

        cache_control: the caller's header; no-cache asks for a fresh answer, no-store also not to keep it.
        """
        wishes = (cache_control or "").lower()
        if self._ttl_s == 0 or "no-store" in wishes or not request.endpoint.is_repeatable(request):
            return BYPASS
        key = self._key(request, caller)
        try:
            epoch, entry = await self._valkey.execute("MGET", _epoch_key(caller), key)
        except (ValkeyUnavailableError, ValkeyReplyError):
            return BYPASS
        slot = Slot(key, epoch or b"")
        answer = _unpack(entry, slot.epoch)
        if answer is None or "no-cache" in wishes:
            return Lookup("miss", slot=slot)
        return Lookup("hit", answer=answer)

    def keep(self, slot: Slot, answer: bytes) -> None:
        """Stores a complete, successful answer; does not wait for it, and does without when it fails."""
        if len(answer) <= MAX_ANSWER_BYTES:
            stored = self._valkey.execute("SET", slot.key, _pack(answer, slot.epoch), "EX", self._ttl_s)
            stored.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _key(self, request: ApiRequest, caller: Caller) -> str:
        digest = fingerprint(
            self._upstream_url,
            request.endpoint.path,
            caller.organization_id,
            caller.project_id,
            canonical(request.body, request.fields),
        )
        return f"cache:{{{caller.project_id}}}:{digest}"


def canonical(body: bytes, fields: dict[str, object]) -> bytes:
    """One form for requests that differ only in spacing, the order of keys and the escaping of text."""
    if _LONG_NUMBER.search(body):
        return body
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # It reads deeper than it writes.
        return body


def fingerprint(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _epoch_key(caller: Caller) -> str:
    return f"cache:{{{caller.project_id}}}:epoch"


def _pack(answer: bytes, epoch: bytes) -> bytes:
    return b" ".join((_FORMAT, epoch.hex().encode(), answer))


def _unpack(entry: bytes | None, epoch: bytes) -> bytes | None:
    header = b"%s %s " % (_FORMAT, epoch.hex().encode())
    return entry[len(header) :] if entry is not None and entry.startswith(header) else None
