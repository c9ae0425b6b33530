"""HTTP/1.1 as uvicorn speaks it, with bounds on what is not yet a request, and refusals in OpenAI's form."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app import errors
from app.errors import ApiError, Header
from app.telemetry import log_event

MAX_HEAD_BYTES = 64 * 1024
"""As much as an Application Load Balancer passes on."""

REQUEST_WITHIN_S = 120.0
"""From the first byte of a request to its last: the largest body at 1.1 Mbit/s."""

LINGER_S = 1.0

WholeAnswer = Callable[[int, list[Header], bytes], Awaitable[None]]
WHOLE_ANSWER = "gateway.whole_answer"
"""An extension in the scope: status, headers with the length among them, and body, sent in one write."""

_FRAMING_FACTOR = 8
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What a client sends around a body takes neither memory nor time without end.

    A head, chunk sizes and trailers count against MAX_HEAD_BYTES, and every byte of body allows for
    _FRAMING_FACTOR bytes around it, so that small chunks pass. A request that comes in one piece, as nearly
    all do, costs nothing here.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._around_bytes = 0
        self._incomplete = False
        self._refused = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._around_bytes += len(data)
        if not self._incomplete and b"pgrade" in data:
            data = _without_upgrade(data)
        super().data_received(data)
        if self._around_bytes > MAX_HEAD_BYTES:
            self._refuse(errors.head_too_large(MAX_HEAD_BYTES))
        elif self._incomplete and self._timer is None:
            self._timer = self.loop.call_later(REQUEST_WITHIN_S, self._late)

    def on_message_begin(self) -> None:
        self._incomplete = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._around_bytes = 0
        super().on_headers_complete()
        # One that waits for the answer before it on this connection has a cycle of its own as well.
        self.scope["extensions"] = {WHOLE_ANSWER: {"send": partial(_send_whole, self.cycle)}}

    def on_body(self, body: bytes) -> None:
        self._around_bytes -= (1 + _FRAMING_FACTOR) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._incomplete = False
        self._around_bytes = 0
        self._stop_timer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's text)
        self._refuse(errors.malformed_http())

    def _late(self) -> None:
        self._refuse(errors.request_too_slow(REQUEST_WITHIN_S))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: ApiError) -> None:
        self._stop_timer()
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        # An answer that has begun, or that this request had before it was complete, must not get a second.
        if self.cycle is not None and self.cycle.response_started and not self._is_next():
            self.transport.close()
            return
        request_id = "req_" + secrets.token_hex(16)
        log_event("refused_connection", level="warning", code=error.code, request_id=request_id)
        body = error.body()
        head = STATUS_LINE[error.status] + (
            b"content-type: application/json\r\nconnection: close\r\n"
            b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n" % (request_id.encode(), len(body))
        )
        self.transport.write(head + body)
        # What a client still sends is taken and dropped for a while: closed at once, the connection would be
        # reset, and the answer lost on its way.
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _is_next(self) -> bool:
        """Whether the last answer is complete and what is wrong belongs to a request after it."""
        return self.cycle.response_complete and not self.cycle.more_body


async def _send_whole(cycle: RequestResponseCycle, status: int, headers: list[Header], body: bytes) -> None:
    """What `cycle.send` does with the two messages of an answer, at a third of the cost."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    if cycle.response_started:
        raise RuntimeError("an answer has begun already")
    if (b"connection", b"close") in headers:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        headers.append((b"connection", b"close"))
    lines = [b": ".join(header) for header in (*cycle.default_headers, *headers)]
    sent = STATUS_LINE[status] + b"\r\n".join(lines) + b"\r\n"
    if not sent.count(b"\r\n") == sent.count(b"\n") == sent.count(b"\r") == len(lines) + 1 or b"\0" in sent:
        raise RuntimeError("a header holds the end of a line")
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"%b\r\n%b" % (sent, b"" if cycle.scope["method"] == "HEAD" else body))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _without_upgrade(data: bytes) -> bytes:
    """The beginning of a request without its offer of another protocol (some clients always offer h2c).

    The parser would stop at the head of such a request, and its body would be lost.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nx-upgrade:", head) + end + rest
