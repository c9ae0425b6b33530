"""Prompts of different callers that ask the same of the same model go upstream together, up to so many.

A request without company goes at once, as it came, and so does one that several models may answer. It has
company when another one of its shape came within WINDOW_S of it and has no answer yet. Then it waits until a
joined request is full, or for WINDOW_S and until all that reached the gateway in the meantime have come
through the steps before this one, or wait there for another's answer.

Each caller keeps what it would have alone: its own reservation, usage and end. A joined request that failed
without being charged is asked again by each caller for itself, so nobody fails for another one's prompt; what
may have been charged is not asked again.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import orjson

from app import errors
from app.endpoints import ApiRequest
from app.endpoints.endpoint import Chain
from app.errors import ApiError
from app.joining import (
    JOINED_PATHS,
    MAX_JOINED_BYTES,
    Part,
    Shape,
    count_tokens,
    joined_body,
    part_of,
    take_apart,
)
from app.telemetry import RequestRecord
from app.upstream import Answer, Asking, Upstream

WINDOW_S = 0.005
LONGEST_WINDOW_S = 0.25
"""For those that came within the window and are held up: as long as the steps before wait for Valkey."""

_ASKED_BY_EACH = frozenset({400, 403, 413, 422, 500, 502, 503})
"""Statuses that may be about one prompt among others, and that the upstream did not charge for."""


class Batching:
    """Stands before the upstream. most_prompts: of one request upstream; 1 joins nothing."""

    def __init__(self, upstream: Upstream, most_prompts: int, longest_s: float) -> None:
        self._upstream = upstream
        self._most_prompts = most_prompts
        self._longest_s = longest_s
        self._parts: dict[Asking, Part] = {}
        self._queues: dict[Shape, _Queue] = {}
        self._running: set[asyncio.Task[None]] = set()
        if most_prompts > 1:
            # Loads the vocabulary, a fifth of a second that nobody is to wait for later.
            count_tokens([""])

    def expect(self, exchange: Asking, request: ApiRequest) -> None:
        """Tells of a request that may come to `complete` before the task that calls this is over."""
        part = None
        if request.chain is None and request.endpoint.path in JOINED_PATHS:
            part = self._joinable(exchange, request.endpoint.path, request.body, request.fields)
        task = asyncio.current_task()
        if part is None or task is None:
            return
        self._parts[exchange] = part
        queue = self._queue(part.shape)
        queue.arrivals[exchange] = asyncio.get_running_loop().time()
        queue.on_the_way.add(exchange)
        task.add_done_callback(lambda _: self._over(exchange, part.shape))

    def not_coming(self, exchange: Asking) -> None:
        """Tells of a request that waits for another's answer, so that nobody waits for it meanwhile.

        Should it come to `complete` after all, it counts as one that comes then.
        """
        part = self._parts.get(exchange)
        if part is not None:
            self._over(exchange, part.shape)

    def complete(
        self,
        method: str,
        path: str,
        exchange: Asking,
        body: bytes | None = None,
        *,
        chain: Chain | None = None,
        within_s: float | None = None,
    ) -> Coroutine[Any, Any, Answer]:
        """As Upstream.complete. Raises ApiError."""
        complete = self._complete if path in JOINED_PATHS else self._upstream.complete
        return complete(method, path, exchange, body, chain=chain, within_s=within_s)

    async def _complete(
        self,
        method: str,
        path: str,
        exchange: Asking,
        body: bytes | None = None,
        *,
        chain: Chain | None = None,
        within_s: float | None = None,
    ) -> Answer:
        part = self._parts.pop(exchange, None)
        if part is None or part.body is not body:
            # Not what was expected, but for instance what of it the cache does not have.
            if part is not None:
                self._over(exchange, part.shape)
            part = self._joinable(exchange, path, body) if body is not None and chain is None else None
        if part is None:
            return await self._upstream.complete(method, path, exchange, body, chain=chain, within_s=within_s)
        queue = self._queue(part.shape)
        arrived = queue.arrivals.setdefault(exchange, asyncio.get_running_loop().time())
        try:
            if not queue.has_company(exchange, arrived):
                queue.on_the_way.discard(exchange)
                return await self._upstream.complete(method, path, exchange, body, within_s=within_s)
            return await self._together(queue, _Member(part, exchange), within_s)
        finally:
            self._over(exchange, part.shape)

    def _joinable(self, exchange: Asking, path: str, body: bytes, fields: Any = None) -> Part | None:
        if self._most_prompts < 2 or exchange.header(b"idempotency-key") is not None:
            return None
        # It names one caller's request to the upstream.
        if exchange.header(b"x-client-request-id") is not None:
            return None
        part = part_of(path, body, fields, exchange.header(b"openai-beta"))
        return part if part is not None and len(part.inputs) < self._most_prompts else None

    def _queue(self, shape: Shape) -> "_Queue":
        return self._queues.setdefault(shape, _Queue())

    async def _together(self, queue: "_Queue", member: "_Member", within_s: float | None) -> Answer:
        part = member.part
        longest_s = self._longest_s if within_s is None else min(within_s, self._longest_s)
        try:
            async with asyncio.timeout(longest_s + LONGEST_WINDOW_S):
                batch = self._join(queue, member)
                try:
                    answer = await member.answer
                except asyncio.CancelledError:
                    self._leave(queue, batch, member)
                    raise
                if answer is not None:
                    return answer
                return await self._upstream.complete("POST", part.path, member.exchange, part.body)
        except TimeoutError:
            raise errors.upstream_too_slow(longest_s, capped=longest_s < self._longest_s) from None

    def _join(self, queue: "_Queue", member: "_Member") -> "_Batch":
        loop = asyncio.get_running_loop()
        if queue.batch is not None and not queue.batch.has_room(member.part, self._most_prompts):
            self._begin(queue)
        batch = queue.batch
        if batch is None:
            timer = loop.call_later(WINDOW_S, self._window_over, queue)
            batch = queue.batch = _Batch(timer, since=queue.arrivals[member.exchange] - WINDOW_S)
        batch.members.append(member)
        queue.on_the_way.discard(member.exchange)
        if batch.prompts >= self._most_prompts:
            self._begin(queue)
        else:
            self._no_longer_awaited(queue, member.exchange)
        return batch

    def _window_over(self, queue: "_Queue") -> None:
        batch = queue.batch
        if batch is None:
            return
        batch.awaited = {one for one in queue.on_the_way if queue.arrivals[one] >= batch.since}
        if batch.awaited:
            remaining_s = LONGEST_WINDOW_S - WINDOW_S
            batch.timer = asyncio.get_running_loop().call_later(remaining_s, self._begin, queue)
        else:
            self._begin(queue)

    def _no_longer_awaited(self, queue: "_Queue", exchange: Asking) -> None:
        batch = queue.batch
        if batch is not None and exchange in batch.awaited:
            batch.awaited.discard(exchange)
            if not batch.awaited:
                self._begin(queue)

    def _over(self, exchange: Asking, shape: Shape) -> None:
        """The request was answered, ended without an answer, or is not coming."""
        self._parts.pop(exchange, None)
        queue = self._queues.get(shape)
        if queue is None or queue.arrivals.pop(exchange, None) is None:
            return
        queue.on_the_way.discard(exchange)
        self._no_longer_awaited(queue, exchange)
        if not queue.arrivals:
            del self._queues[shape]

    def _begin(self, queue: "_Queue") -> None:
        batch, queue.batch = queue.batch, None
        if batch is None:
            return
        batch.timer.cancel()
        if len(batch.members) == 1:
            batch.members[0].tell(None)
            return
        batch.call = _Call(batch.members[0].part)
        batch.task = asyncio.get_running_loop().create_task(self._ask(batch.call, batch))
        self._running.add(batch.task)
        batch.task.add_done_callback(self._running.discard)

    def _leave(self, queue: "_Queue", batch: "_Batch", member: "_Member") -> None:
        """The caller is gone, or waited long enough; the others go on."""
        batch.members.remove(member)
        if batch.call is not None and member.answer.cancelled():
            record = member.exchange.record
            batch.call.record_for(record, len(batch.members) + 1)
            if batch.members:
                # What it was answered so far says nothing of the next attempt, which the others stay for.
                record.upstream_status = None
        if batch.members:
            return
        if batch.task is not None:
            batch.task.cancel()
        elif queue.batch is batch:
            batch.timer.cancel()
            queue.batch = None

    async def _ask(self, call: "_Call", batch: "_Batch") -> None:
        members = tuple(batch.members)
        parts = [member.part for member in members]
        outcomes: list[Answer | Exception | None]
        try:
            answer = await self._upstream.complete("POST", call.record.path, call, joined_body(parts))
            outcomes = _outcomes(parts, answer)
        except ApiError as failed:
            outcomes = [None if failed.code == "upstream_failed" else failed] * len(parts)
        except Exception as failed:
            outcomes = [failed] * len(parts)
        for member, outcome in zip(members, outcomes, strict=True):
            if not member.answer.done():
                call.record_for(member.exchange.record, len(members))
            member.tell(outcome)


def _outcomes(parts: list[Part], answer: Answer) -> list[Answer | Exception | None]:
    """Of each part: its own answer, a failure, or None when it is to be asked for itself."""
    if answer.status in _ASKED_BY_EACH:
        return [None] * len(parts)
    if answer.status >= 400:
        return [answer] * len(parts)
    values = take_apart(parts, answer.value) if answer.status == 200 else None
    if values is None:
        return [errors.upstream_malformed()] * len(parts)
    return [Answer(answer.status, answer.headers, orjson.dumps(value), value) for value in values]


class _Member:
    """A caller that waits for its share. answer: None tells it to ask for itself."""

    __slots__ = ("answer", "exchange", "part")

    def __init__(self, part: Part, exchange: Asking) -> None:
        self.part = part
        self.exchange = exchange
        self.answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: Answer | Exception | None) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class _Call:
    """Whom a joined request is made for: nobody alone, so none of a caller's headers but what all have."""

    __slots__ = ("_headers", "record")

    def __init__(self, part: Part) -> None:
        self.record = RequestRecord(request_id="", method="POST", path=part.path)
        self._headers: Mapping[bytes, str | None] = {b"openai-beta": part.beta}

    def header(self, name: bytes) -> str | None:
        return self._headers.get(name)

    def has_any(self, names: Set[bytes]) -> bool:
        return not self._headers.keys().isdisjoint(names)

    def record_for(self, record: RequestRecord, joined: int) -> None:
        """Writes down what is known of the call so far."""
        record.joined = joined
        record.upstream_attempts += self.record.upstream_attempts
        record.deployment = self.record.deployment
        record.upstream_status = self.record.upstream_status
        record.upstream_request_id = self.record.upstream_request_id
        record.upstream_ms = self.record.upstream_ms


@dataclass(slots=True, eq=False)
class _Batch:
    """Members that wait to be asked for together.

    since: who came before that is not waited for. awaited: who is, after the window, being late.
    """

    timer: asyncio.TimerHandle
    since: float
    members: list[_Member] = field(default_factory=list)
    awaited: set[Asking] = field(default_factory=set)
    call: _Call | None = None
    task: "asyncio.Task[None] | None" = None

    @property
    def prompts(self) -> int:
        return sum(len(member.part.inputs) for member in self.members)

    def has_room(self, part: Part, most_prompts: int) -> bool:
        size_bytes = sum(len(member.part.body) for member in self.members)
        return (
            self.prompts + len(part.inputs) <= most_prompts
            and size_bytes + len(part.body) <= MAX_JOINED_BYTES
        )


@dataclass(slots=True, eq=False)
class _Queue:
    """The requests of one shape.

    arrivals: those without an answer, by when they came, in that order. on_the_way: those of them that did
    not come to `complete` yet.
    """

    arrivals: dict[Asking, float] = field(default_factory=dict)
    on_the_way: set[Asking] = field(default_factory=set)
    batch: _Batch | None = None

    def has_company(self, exchange: Asking, arrived: float) -> bool:
        if self.batch is not None:
            return True
        newest = next((other for other in reversed(self.arrivals) if other is not exchange), None)
        return newest is not None and self.arrivals[newest] >= arrived - WINDOW_S
