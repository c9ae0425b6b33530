"""A stream of server-sent events on its way through: whole events, checked, the usage taken out.

An event is passed on byte for byte once it is complete, so that whatever the gateway says next (a ping, an
error) stands between events, and a stream that is cut never ends in half a line. Form: the WHATWG HTML
standard, section "Server-sent events".
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from app.usage import Usage, parse_usage

PING = b": ping\n\n"
MAX_EVENT_BYTES = 8 * 1024 * 1024
SILENCE_S = 1.0
"""No data for longer than this is more than the time from one token to the next."""

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class MalformedStreamError(Exception):
    """An event is not JSON, or grows without an end."""


class EventStream(ABC):
    """What is known of a stream so far.

    done: the event came that is the only sign of a complete answer. failed: the upstream reported an error
    within the stream. shortened: the answer is complete but not whole, as it reached a limit. usage: what the
    upstream said of it. chunks: how many events with data came, each about a token. spelled: from an event
    and its data to what is passed on in its place, None: as it is.
    """

    __slots__ = (
        "_heard_at",
        "_rest",
        "_silent_s",
        "chunks",
        "done",
        "failed",
        "shortened",
        "spelled",
        "usage",
    )

    def __init__(self) -> None:
        self._rest = b""
        self._heard_at = time.monotonic()
        self._silent_s = 0.0
        self.chunks = 0
        self.done = False
        self.failed = False
        self.shortened = False
        self.usage: Usage | None = None
        self.spelled: Callable[[bytes, Mapping[str, Any]], bytes] | None = None

    @property
    def silent_s(self) -> float:
        """How long nothing came, the time before the first event and since the last among it."""
        since_s = time.monotonic() - self._heard_at
        return self._silent_s + (since_s if since_s > SILENCE_S else 0.0)

    @abstractmethod
    def _is_passed(self, chunk: dict[str, Any]) -> bool:
        """Takes notice of an event's data; whether the caller is to see it."""

    def error_event(self, error: Mapping[str, object]) -> bytes:
        """What the stream ends with when it fails; `error`: OpenAI's error object."""
        return b"data: " + orjson.dumps({"error": error}) + b"\n\n"

    def feed(self, data: bytes) -> bytes:
        """Takes what arrived; returns the events to pass on. Raises MalformedStreamError."""
        now = time.monotonic()
        if now - self._heard_at > SILENCE_S:
            self._silent_s += now - self._heard_at
        self._heard_at = now
        buffer = self._rest + data if self._rest else data
        passed: list[bytes] = []
        start = 0
        # What was left had no boundary but for the beginning of one.
        for boundary in _END_OF_EVENT.finditer(buffer, max(0, len(self._rest) - 3)):
            if self.done:
                break
            event = buffer[start : boundary.end()]
            start = boundary.end()
            if noticed := self._notice(event):
                passed.append(noticed)
        self._rest = b"" if self.done else buffer[start:]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise MalformedStreamError
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def _notice(self, event: bytes) -> bytes:
        """What is passed on of an event."""
        data = event_data(event)
        if not data:
            return event
        if data == b"[DONE]":
            self.done = True
            return event
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise MalformedStreamError from None
        if not isinstance(chunk, dict):
            raise MalformedStreamError
        self.chunks += 1
        if chunk.get("error"):
            self.failed = True
        if not self._is_passed(chunk):
            return b""
        return event if self.spelled is None else self.spelled(event, chunk)


class CompletionStream(EventStream):
    """Chunks of chat completions and completions, which end in `[DONE]`.

    strip_usage: drop the chunk that only carries usage, which the caller did not ask for.
    """

    __slots__ = ("_strip_usage",)

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__()
        self._strip_usage = strip_usage

    def _is_passed(self, chunk: dict[str, Any]) -> bool:
        usage = chunk.get("usage")
        if usage is None:
            return True
        self.usage = parse_usage(usage) or self.usage
        return not (self._strip_usage and chunk.get("choices") == [])


class ResponseStream(EventStream):
    """Events of a response: `type` says what each is, one of three is the last, which carries the usage."""

    __slots__ = ("_next_number",)

    def __init__(self) -> None:
        super().__init__()
        self._next_number = 0

    def _is_passed(self, chunk: dict[str, Any]) -> bool:
        number = chunk.get("sequence_number")
        if type(number) is int:
            self._next_number = number + 1
        kind = chunk.get("type")
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            response = chunk.get("response")
            usage = response.get("usage") if isinstance(response, dict) else None
            self.usage = parse_usage(usage) or self.usage
            self.done = kind != "response.failed"
            self.shortened = kind == "response.incomplete"
        if kind in ("response.failed", "error"):
            self.failed = True
        return True

    def error_event(self, error: Mapping[str, object]) -> bytes:
        # In both of OpenAI's spellings: the fields of ResponseErrorEvent beside the object that makes the SDK
        # raise, instead of handing on an event that a program may overlook.
        event = {
            "type": "error",
            "sequence_number": self._next_number,
            "code": error.get("code"),
            "message": error.get("message"),
            "param": error.get("param"),
            "error": error,
        }
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def event_data(event: bytes) -> bytes:
    """The `data` of one event, b"" for comments and the like."""
    # Nearly every event is one data line that ends in two line feeds.
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2:
        return event[6:-2].strip()
    lines = [line[5:].removeprefix(b" ") for line in _LINE.split(event) if line.startswith(b"data:")]
    return b"\n".join(lines).strip()
