"""One HTTP request and its answer on raw ASGI: read within bounds, answered once, logged once."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Set
from types import TracebackType
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from app.body import FREE_BYTES, BodyRoom
from app.deadlines import Deadlines
from app.errors import ApiError, Header, body_too_large, encoded_body
from app.protocol import WHOLE_ANSWER, WholeAnswer
from app.telemetry import RequestRecord

ErrorEvent = Callable[[Mapping[str, object]], bytes]
"""OpenAI's error object as the last event of a stream."""

JSON: Header = (b"content-type", b"application/json")
EVENT_STREAM: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)
WATCH_AFTER_S = 0.1
"""Requests that take no longer than this spare themselves the watch for a client that leaves."""

CLIENT_GONE_STATUS = 499
"""What the log says of a request whose client left; nobody receives it."""


class ClientGoneError(Exception):
    """The client closed its connection before the answer was complete."""


class Exchange:
    """A request on its way.

    `headers` collects what every answer from here on carries, refusals included. `record` is logged at the
    end. `when_client_leaves` is given what ends the request's work, when it is to outlive its client.
    """

    __slots__ = (
        "_begun",
        "_ended",
        "_error_event",
        "_receive",
        "_request_headers",
        "_room",
        "_send",
        "_taken_bytes",
        "_whole_answer",
        "headers",
        "record",
        "when_client_leaves",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, room: BodyRoom | None = None) -> None:
        request_id = "req_" + secrets.token_hex(16)
        self._receive = receive
        self._send = send
        # Of a header that is sent twice, the first counts.
        self._request_headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self._begun = False
        self._ended = False
        self._error_event: ErrorEvent | None = None
        self._room = room
        # Taken out: it knows the scope, and a circle would stay until the collector comes.
        extension: Any = scope.pop("extensions", {}).get(WHOLE_ANSWER)
        self._whole_answer: WholeAnswer | None = extension and extension["send"]
        self._taken_bytes = 0
        self.when_client_leaves: Callable[[Callable[[], object]], None] | None = None
        self.headers: list[Header] = [(b"x-request-id", request_id.encode())]
        self.record = RequestRecord(request_id=request_id, method=scope["method"], path=scope["path"])

    @property
    def begun(self) -> bool:
        """Whether the status line is on its way, so that a failure can no longer choose it."""
        return self._begun

    @property
    def ended(self) -> bool:
        return self._ended

    def header(self, name: bytes) -> str | None:
        """The first value of a request header; `name` in lower case."""
        value = self._request_headers.get(name)
        return None if value is None else value.decode("latin-1")

    def has_any(self, names: Set[bytes]) -> bool:
        """Whether the request has one of these headers, names in lower case: for most that few send."""
        return not self._request_headers.keys().isdisjoint(names)

    def set_header(self, name: bytes, value: bytes) -> None:
        """A header of every answer from here on, in place of what it was."""
        self.headers = [header for header in self.headers if header[0] != name]
        self.headers.append((name, value))

    async def read_body(self, limit_bytes: int) -> bytes:
        """The whole body. Raises ApiError when it is too large or encoded, ClientGoneError.

        A large one takes room until `release`.
        """
        encoding = self.header(b"content-encoding")
        if encoding and encoding.lower() != "identity":
            raise encoded_body(encoding[:40])
        announced = self._request_headers.get(b"content-length", b"0")
        announced_bytes = int(announced[:20]) if announced.isdigit() else 0
        if announced_bytes > limit_bytes:
            raise body_too_large(limit_bytes)
        self.make_room(announced_bytes)
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            first: bytes = message.get("body", b"")
            if len(first) > limit_bytes:
                raise body_too_large(limit_bytes)
            return first
        body = bytearray()
        while message["type"] == "http.request":
            body += message.get("body", b"")
            if len(body) > limit_bytes:
                raise body_too_large(limit_bytes)
            self.make_room(len(body))
            if not message.get("more_body", False):
                return bytes(body)
            message = await self._receive()
        raise ClientGoneError

    def release(self) -> None:
        """The request is over; so is its need of room."""
        if self._room is not None and self._taken_bytes:
            self._room.give_back(self._taken_bytes)
            self._taken_bytes = 0

    def make_room(self, size_bytes: int) -> None:
        """For so many bytes in all, until `release`. Raises ApiError (503)."""
        if self._room is not None and size_bytes > FREE_BYTES and size_bytes > self._taken_bytes:
            self._room.take(size_bytes - self._taken_bytes)
            self._taken_bytes = size_bytes

    async def answer(self, status: int, body: bytes, headers: tuple[Header, ...] = (JSON,)) -> None:
        """The whole answer at once."""
        all_headers = [*self.headers, *headers, (b"content-length", b"%d" % len(body))]
        if self._whole_answer is None:
            await self._begin(status, all_headers)
            await self._end(body)
        else:
            self._note_begin(status)
            self._ended = True
            await self._whole_answer(status, all_headers, body)

    async def answer_json(self, status: int, value: object) -> None:
        await self.answer(status, orjson.dumps(value))

    async def refuse(self, error: ApiError) -> None:
        """OpenAI's error object: as the answer, or as the last event of a stream that has begun."""
        self.record.error = error.code or error.kind
        if not self._begun:
            await self.answer(error.status, error.body(), (JSON, *error.headers))
        elif not self._ended and self._error_event is not None:
            await self._end(self._error_event(error.value()))

    def errors_in_stream(self, error_event: ErrorEvent) -> None:
        """How to spell an error, from now on, once a stream has begun."""
        self._error_event = error_event

    async def begin_stream(self, headers: tuple[Header, ...] = ()) -> None:
        """Starts an answer of server-sent events; does nothing when it has begun."""
        if not self._begun:
            await self._begin(200, [*self.headers, *EVENT_STREAM, *headers])

    async def begin_content(self, headers: tuple[Header, ...]) -> None:
        """Starts an answer that is written bit by bit. When it fails on its way, it ends without its end."""
        await self._begin(200, [*self.headers, *headers])

    async def write(self, chunk: bytes) -> None:
        """More of a stream that has begun."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end_stream(self, chunk: bytes = b"") -> None:
        await self._end(chunk)

    def while_client_stays(self) -> "ClientWatch":
        """Within the block, a client that leaves cancels what runs and raises ClientGoneError.

        Enter it after the body was read: from then on the only message left is the client's leaving.
        """
        return ClientWatch(self, self._receive)

    async def _begin(self, status: int, headers: list[Header]) -> None:
        # Before the first await: a ping that is due now must not send a second status line.
        self._note_begin(status)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _note_begin(self, status: int) -> None:
        self._begun = True
        self.record.status = status
        self.record.first_byte_ms = self.record.elapsed_ms()

    async def _end(self, chunk: bytes) -> None:
        self._ended = True
        await self._send({"type": "http.response.body", "body": chunk, "more_body": False})


class ClientWatch:
    """See `Exchange.while_client_stays`."""

    __slots__ = ("_exchange", "_gone", "_receive", "_task", "_watcher")

    def __init__(self, exchange: Exchange, receive: Receive) -> None:
        self._exchange = exchange
        self._receive = receive
        self._gone = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        _UNWATCHED.set(self)

    def passed(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _UNWATCHED.clear(self)
        if self._watcher is not None:
            self._watcher.cancel()
        if self._gone and isinstance(exception, asyncio.CancelledError):
            if self._task is not None:
                self._task.uncancel()
            raise ClientGoneError from None
        if self._gone and exception is None:
            # The work was done for others.
            raise ClientGoneError

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # The end of a complete answer reads as a disconnect too.
        if not self._exchange.ended and self._task is not None:
            self._gone = True
            if self._exchange.when_client_leaves is None:
                self._task.cancel()
            else:
                self._exchange.when_client_leaves(self._task.cancel)


_UNWATCHED = Deadlines(WATCH_AFTER_S)
