"""One JSON line a request on standard output, and one for each event of the process. Never any content.

Neither messages nor answers nor keys nor texts of exceptions are written: an exception's text can quote any
of them.
"""

import asyncio
import contextlib
import logging
import os
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import orjson

from app.usage import Usage

FLUSH_AFTER_S = 0.02
STANDARD_OUTPUT = 1

_lines: list[bytes] = []
_flush_timer: asyncio.TimerHandle | None = None

CacheOutcome = Literal["hit", "partial", "miss", "shared", "bypass"]
"""partial: some inputs were in the cache. shared: another request's answer, while it came."""


@dataclass(slots=True)
class RequestRecord:
    """What is logged of one request. `started` is of the monotonic clock, in seconds; *_ms are milliseconds.

    model: the one that was asked last. alias: the name that the caller used for it, None: its own.
    usage: what the upstream charged for, so None on a cache hit or a shared answer. first_byte_ms: until the
    answer began. limiter: "valkey", or "local" when the shared limit was out of reach. deployment: the one
    that was asked last; upstream_attempts: how often one was. joined: how many requests went upstream as one;
    0: this one went alone.
    """

    request_id: str
    method: str
    path: str
    started: float = field(default_factory=time.monotonic)
    key_id: str | None = None
    project_id: str | None = None
    organization_id: str | None = None
    model: str | None = None
    alias: str | None = None
    stream: bool = False
    cache: CacheOutcome | None = None
    limiter: str | None = None
    usage: Usage | None = None
    status: int = 0
    error: str | None = None
    deployment: str | None = None
    upstream_attempts: int = 0
    joined: int = 0
    upstream_status: int | None = None
    upstream_request_id: str | None = None
    upstream_ms: float | None = None
    first_byte_ms: float | None = None
    chunks: int = 0
    silent_s: float = 0.0

    def elapsed_ms(self) -> float:
        return round((time.monotonic() - self.started) * 1000, 3)

    def line(self) -> bytes:
        """The record as it is logged; durations that never began and tokens nobody counted are null."""
        usage = self.usage
        own = {
            "time": _now(),
            "event": "request",
            "request_id": self.request_id,
            "prompt_tokens": usage.prompt_tokens if usage else None,
            "completion_tokens": usage.completion_tokens if usage else None,
            "total_tokens": usage.total_tokens if usage else None,
            "cached_tokens": usage.cached_tokens if usage else None,
            "reasoning_tokens": usage.reasoning_tokens if usage else None,
            "upstream_request_id": self.upstream_request_id,
            "upstream_ms": self.upstream_ms,
            "first_byte_ms": self.first_byte_ms,
            "total_ms": self.elapsed_ms(),
        }
        shared = _spelled(
            self.method,
            self.path[:200],
            self.status,
            self.error,
            self.organization_id,
            self.project_id,
            self.key_id,
            self.model,
            self.alias,
            self.stream,
            self.cache,
            self.limiter,
            self.deployment,
            self.upstream_attempts,
            self.joined,
            self.upstream_status,
        )
        return orjson.dumps(own)[:-1] + shared


_SHARED = (
    *("method", "path", "status", "error", "organization_id", "project_id", "key_id", "model", "alias"),
    *("stream", "cache", "limiter", "deployment", "upstream_attempts", "joined", "upstream_status"),
)


@lru_cache(maxsize=1024)
def _spelled(*values: Any) -> bytes:
    """The end of the lines that have all of this in common, as most of a key's have."""
    return b"," + orjson.dumps(dict(zip(_SHARED, values, strict=True)))[1:] + b"\n"


def log_request(record: RequestRecord) -> None:
    """Logs with the other requests of this moment: a write for each would cost more than the line."""
    global _flush_timer
    _lines.append(record.line())
    if _flush_timer is None:
        _flush_timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, flush)


def log_event(event: str, *, level: str = "info", **fields: Any) -> None:
    """A line about the process itself. `fields` must hold nothing secret and no content."""
    line = {"time": _now(), "event": event, "level": level, **fields}
    _lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    flush()


def log_exception(event: str, exception: BaseException, **fields: Any) -> None:
    """Where an exception came from, without its text, which can quote anything."""
    frames = traceback.extract_tb(exception.__traceback__)
    log_event(
        event,
        level="error",
        exception=type(exception).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-6:]],
        **fields,
    )


def flush() -> None:
    """Writes what was logged, in order."""
    global _flush_timer
    if _flush_timer is not None:
        _flush_timer.cancel()
        _flush_timer = None
    lines = memoryview(b"".join(_lines))
    _lines.clear()
    # Nobody reads the log or its disk is full: requests go on without it. Not through sys.stdout, which would
    # keep what it cannot write, and fail with it when the process ends.
    with contextlib.suppress(OSError):
        while lines:
            lines = lines[os.write(STANDARD_OUTPUT, lines) :]


def _now() -> str:
    seconds, ms = divmod(int(time.time() * 1000), 1000)
    return f"{_second(seconds)}.{ms:03}+00:00"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class EventHandler(logging.Handler):
    """Libraries' warnings as events, without the text of exceptions."""

    def emit(self, record: logging.LogRecord) -> None:
        exception = record.exc_info[1] if record.exc_info else None
        if exception is not None:
            log_exception("library", exception, logger=record.name)
        else:
            log_event(
                "library", level=record.levelname.lower(), logger=record.name, message=record.getMessage()
            )


def configure_logging() -> None:
    """Sends the libraries' warnings through `EventHandler`."""
    root = logging.getLogger()
    root.handlers = [EventHandler()]
    root.setLevel(logging.WARNING)
