"""Ids that sort by the time they were made, so that a list in their order is stable and its cursor is a key.

An id is a prefix, 11 hex digits of unix milliseconds (enough until the year 2527) and 12 at random. Within
one process each is larger than the one before, also within a millisecond and when the clock is set back.
"""

import secrets
import threading
import time

_TIME_DIGITS = 11
_RANDOM_BYTES = 6

_lock = threading.Lock()
_last_ms = 0


def new_id(prefix: str) -> str:
    """A fresh id; prefix: what it is of, such as `proj_`."""
    global _last_ms
    with _lock:
        _last_ms = max(_last_ms + 1, time.time_ns() // 1_000_000)
        made_ms = _last_ms
    return first_id(prefix, made_ms) + secrets.token_hex(_RANDOM_BYTES)


def first_id(prefix: str, unix_ms: int) -> str:
    """What sorts before every id of this millisecond and after all of those before it."""
    return f"{prefix}{max(unix_ms, 0):0{_TIME_DIGITS}x}"
