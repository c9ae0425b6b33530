"""Answers in Valkey: where the answer to a request is, whether it is good, and where a new one goes.

An entry carries the epochs of what it rests on (`epochs.py`). Lookup reads epochs and entry in one round
trip, and an entry under other epochs is a miss.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from app.cache import epochs
from app.cache.canonical import canonical, fingerprint, fingerprints
from app.cache.epochs import epoch_keys, scope_of, scopes
from app.cache.inputs import Inputs, input_forms
from app.cache.leases import LEASE_MS, Lease, new_token, take
from app.cache.slot import MAX_ANSWER_BYTES, Slot
from app.cache.wishes import Wishes
from app.endpoints.endpoint import ApiRequest
from app.identity import Caller
from app.telemetry import CacheOutcome
from app.valkey import (
    Argument,
    Valkey,
    ValkeyReplyError,
    ValkeyUnavailableError,
    command,
    fragment,
)

MAX_READ = 128
"""Entries in one command: at 20 KB an embedding, what Valkey sends in a fraction of its time bound."""

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""Of one request's inputs together; what does not fit is asked for again."""

_UNAVAILABLE = (ValkeyUnavailableError, ValkeyReplyError)


_SET = fragment("SET")
_LOOK_AND_TAKE = fragment(
    "EVAL",
    """
local found = redis.call('MGET', unpack(KEYS))
local last = #KEYS
for i = 1, last - 1 do
  if not found[i] then return found end
end
local header = table.concat(found, '', 1, last - 1) .. ' '
if not found[last] or string.sub(found[last], 2, #header + 1) ~= header then
  redis.call('SET', KEYS[last], 'L' .. header .. ARGV[1], 'PX', ARGV[2])
  found[last + 1] = 1
end
return found
""",
)
"""MGET of epochs and entry, and a lease where neither an answer nor a lease under these epochs stands; one
more value says so. A miss, which nearly always asks the upstream next, is spared a round trip."""


class Question(NamedTuple):
    """What is looked for. key: of the whole answer. epoch_keys: what it rests on. fresh: no kept answer will
    do. inputs: the request, when each of its inputs has an answer of its own; input_keys: where those are."""

    key: str
    epoch_keys: tuple[str, ...]
    ttl_s: int
    fresh: bool
    inputs: ApiRequest | None = None
    input_keys: tuple[str, ...] = ()


class Lookup(NamedTuple):
    """What the cache said. answer: on a hit. slot: where a complete answer belongs, None when nowhere.
    leased: another replica is asking the upstream. inputs: what is there of a request, input by input. lease:
    this request's own leave to ask, when it wanted one and nobody else has it."""

    outcome: CacheOutcome
    answer: bytes | None = None
    slot: Slot | None = None
    leased: bool = False
    inputs: Inputs | None = None
    lease: Lease | None = None


BYPASS = Lookup("bypass")


class ResponseCache:
    """Without Valkey every request is a bypass: the cache is never the reason that one fails.

    ttl_s: of projects that set none; 0 turns the cache off for all.
    """

    def __init__(self, valkey: Valkey, ttl_s: int, upstream_url: str) -> None:
        self._valkey = valkey
        self._ttl_s = ttl_s
        self._upstream_url = upstream_url

    def question(
        self, request: ApiRequest, caller: Caller, wishes: Wishes, variant: str | None = None
    ) -> Question | None:
        """None when the answer is neither to be looked for nor to be kept.

        variant: what decides about the answer beside the body.
        """
        settings, endpoint = caller.settings, request.endpoint
        ttl_s = self._ttl_s if settings.cache_ttl_s is None else settings.cache_ttl_s
        if self._ttl_s == 0 or ttl_s == 0 or wishes.mode == "bypass" or caller.keeps_nothing:
            return None
        if not (endpoint.is_pure(request) if settings.cache_all else endpoint.is_repeatable(request)):
            return None
        scope = scope_of(caller.project_id, caller.organization_id, settings)
        asked = (
            self._upstream_url,
            endpoint.path,
            caller.organization_id,
            scope,
            request.model,
            variant or "",
            wishes.namespace,
            *wishes.tags,
        )
        forms = input_forms(request)
        return Question(
            key=_key(scope, fingerprint(*asked, canonical(request.body, request.fields))),
            epoch_keys=epoch_keys(scope, wishes.namespace, wishes.tags),
            ttl_s=ttl_s if wishes.ttl_s is None else wishes.ttl_s,
            fresh=wishes.mode == "refresh",
            inputs=None if forms is None else request,
            input_keys=() if forms is None else _input_keys(scope, asked, *forms),
        )

    async def look_up(self, question: Question | None, *, to_ask: bool = False) -> Lookup:
        """Looks for an answer, in one round trip for each MAX_READ entries; None is a bypass.

        to_ask: the caller asks the upstream when there is none, and takes the lease that allows it along. It
        has to end it.
        """
        if question is None:
            return BYPASS
        if to_ask and question.inputs is None:
            return await self._look_up_and_take(question)
        keys = (*question.epoch_keys, question.key, *question.input_keys)
        number = len(question.epoch_keys)
        try:
            found = await self._valkey.execute("MGET", *keys[:MAX_READ])
            for first in range(MAX_READ, len(keys), MAX_READ):
                found += await self._valkey.execute("MGET", *keys[first : first + MAX_READ])
            held = found[:number]
            if None in held:
                held = await epochs.begin(self._valkey, question.epoch_keys, held)
        except _UNAVAILABLE:
            # Not kept, but still shared with whoever asks the same in this process meanwhile.
            return Lookup("bypass", None, Slot(question.key, b"", 0))
        slot, entry = Slot(question.key, b"".join(held), question.ttl_s), found[number]
        if question.inputs is not None:
            kept = (None if question.fresh else slot.unpack(entry) for entry in found[number + 1 :])
            inputs = Inputs(question.inputs, question.input_keys, list(kept))
            return Lookup(inputs.outcome, inputs.answer(), slot, slot.is_lease(entry), inputs)
        answer = None if question.fresh else slot.unpack(entry)
        if answer is None:
            return Lookup("miss", None, slot, slot.is_lease(entry))
        return Lookup("hit", answer)

    async def _look_up_and_take(self, question: Question) -> Lookup:
        number = len(question.epoch_keys)
        token = new_token()
        answered: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

        def told(reply: Any) -> None:
            if not answered.done():
                answered.set_result(reply)
            elif isinstance(reply, list) and len(reply) > number + 1:
                # Its caller has left in the meantime.
                self._taken(question, reply, token).end(replaced=False)

        own: tuple[Argument, ...] = (number + 1, *question.epoch_keys, question.key, token, LEASE_MS)
        self._valkey.tell(command(_LOOK_AND_TAKE, own), told)
        found = await answered
        if isinstance(found, Exception):
            return Lookup("bypass", None, Slot(question.key, b"", 0))
        if None in found[:number]:
            return await self.look_up(question)
        slot = Slot(question.key, b"".join(found[:number]), question.ttl_s)
        if len(found) > number + 1:
            return Lookup("miss", None, slot, lease=self._taken(question, found, token))
        answer = slot.unpack(found[number])
        if answer is None:
            return Lookup("miss", None, slot, leased=True)
        return Lookup("hit", answer)

    def _taken(self, question: Question, found: list[Any], token: str) -> Lease:
        slot = Slot(question.key, b"".join(found[: len(question.epoch_keys)]), question.ttl_s)
        return Lease(self._valkey, slot, slot.lease(token))

    def keep(self, slot: Slot, answer: bytes) -> bool:
        """Stores a complete, successful answer; does not wait for it, and does without when it fails.

        Returns whether it is of a size that is kept.
        """
        fits = slot.is_keepable and len(answer) <= MAX_ANSWER_BYTES
        if fits:
            self._store(slot.key, slot, answer)
        return fits

    def keep_inputs(self, slot: Slot, entries: Iterable[tuple[str, bytes]]) -> None:
        """Stores the answers to single inputs, each with its key, as many as there is room for."""
        left_bytes = MAX_KEPT_BYTES if slot.is_keepable else 0
        for key, entry in entries:
            left_bytes -= len(entry)
            if left_bytes < 0:
                return
            self._store(key, slot, entry)

    async def lease(self, slot: Slot) -> Lease | None:
        """The right to ask the upstream, None when another replica has it or has stored the answer."""
        return await take(self._valkey, slot)

    async def invalidate(self, within: Iterable[str], namespace: str | None, tags: Sequence[str]) -> None:
        """Forgets every answer that rests on the namespace or on one of the tags, everywhere at once.

        within: scopes. Raises ValkeyUnavailableError, ValkeyReplyError.
        """
        keys: list[str] = []
        for scope in within:
            keys += epoch_keys(scope, namespace, tags) if namespace else epochs.tag_keys(scope, tags)
        await epochs.bump(self._valkey, keys)

    def _store(self, key: str, slot: Slot, answer: bytes) -> None:
        packed = command(_SET, (key, slot.pack(answer), "EX", slot.ttl_s))
        self._valkey.tell(packed, lambda _stored: None)


def scopes_of(caller: Caller) -> list[str]:
    """Where answers of the caller's project are."""
    return scopes(caller.project_id, caller.organization_id, caller.settings)


def _input_keys(scope: str, asked: tuple[str, ...], around: bytes, inputs: list[bytes]) -> tuple[str, ...]:
    return tuple(_key(scope, digest) for digest in fingerprints((*asked, "input", around), inputs))


def _key(scope: str, digest: str) -> str:
    return f"cache:{{{scope}}}:{digest}"
