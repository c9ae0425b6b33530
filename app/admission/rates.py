"""A rate limit's arithmetic, its answer, and how OpenAI's headers spell it.

The arithmetic is that of admission.lua.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Header

MINUTE_MS = 60_000
MAX_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands with one limit.

    reset_ms: until nothing of it is used any more. wait_ms: until the request fits; 0 when it was let
    through, -1 when it never will.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_ms: int
    wait_ms: int

    def headers(self, what: str) -> list[Header]:
        """OpenAI's three headers; `what` is requests or tokens."""
        return rate_headers(what, self.limit, self.remaining, self.reset_ms)


@dataclass(frozen=True, slots=True)
class Level:
    """How full a limit's bucket is: `level` in cost x period, as of `at_ms`."""

    level: int = 0
    at_ms: int = 0


def take(
    bucket: Level, now_ms: int, limit: int, period_ms: int = MINUTE_MS, cost: int = 1
) -> tuple[Level, Standing]:
    """Takes `cost` from the bucket, or nothing when it does not fit."""
    level = max(0, bucket.level - max(0, now_ms - bucket.at_ms) * limit)
    capacity = limit * period_ms
    excess = level + cost * period_ms - capacity
    wait_ms = -1 if cost > limit else -(-excess // limit) if excess > 0 else 0
    allowed = wait_ms == 0
    if allowed:
        level += cost * period_ms
        bucket = Level(level, now_ms)
    return bucket, Standing(
        allowed=allowed,
        limit=limit,
        remaining=max(0, (capacity - level) // period_ms),
        reset_ms=-(-level // limit),
        wait_ms=wait_ms,
    )


class LocalLimits:
    """The limits of one process, for when the shared ones are out of reach. Bounded in memory."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Level] = OrderedDict()

    def take(self, now_ms: int, limits: Sequence[tuple[str, int]]) -> list[Standing]:
        """Takes one from each limit, given as (key, requests a minute), or from none."""
        taken = [(key, *take(self._buckets.get(key, Level()), now_ms, limit)) for key, limit in limits]
        if all(standing.allowed for _, _, standing in taken):
            for key, bucket, _ in taken:
                self._buckets[key] = bucket
                self._buckets.move_to_end(key)
            while len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        return [standing for _, _, standing in taken]

    def clear(self) -> None:
        self._buckets.clear()


def rate_headers(what: str, limit: int, remaining: int, reset_ms: int) -> list[Header]:
    names = _NAMES[what]
    return [
        (names[0], b"%d" % limit),
        (names[1], b"%d" % remaining),
        (names[2], duration(reset_ms).encode()),
    ]


_NAMES = {
    what: [f"x-ratelimit-{figure}-{what}".encode() for figure in ("limit", "remaining", "reset")]
    for what in ("requests", "tokens")
}


def duration(ms: int) -> str:
    """As OpenAI spells one: 120ms, 1s, 6m0s, 1h0m0s."""
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    minutes, rest_ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest_ms / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
