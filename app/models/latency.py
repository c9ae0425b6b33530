"""How soon answers begin, measured as they come, and who is asked for being soonest.

A measurement counts for a name (a model, or a deployment) and a kind (what may be compared: the same
endpoint, streamed or not). One that was slow is tried again now and then, or nobody would notice that it is
well again.
"""

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

NEWEST_WEIGHT = 0.3
"""Of the newest measurement; what came before has the rest. Five measurements outweigh all before them."""

EXPLORED_SHARE = 0.05
NEARLY = 1.1
"""As fast as the fastest is who takes no more than so many times as long."""

TRIED_FOR_S = 10.0
"""How long one that nobody knows is left to the one request that tries it."""

MAX_MEASURED = 2000

Key = tuple[str, str]


def kind_of(path: str, *, stream: bool) -> str:
    """The answers that may be compared: a plain one begins when all of it is written."""
    return f"{path} streamed" if stream else path


def smoothed(before_s: float | None, newest_s: float) -> float:
    """The exponentially weighted mean."""
    return newest_s if before_s is None else before_s + NEWEST_WEIGHT * (newest_s - before_s)


class Latencies:
    """Seconds to the first byte. chance: a number from 0 to below 1, for each choice."""

    def __init__(
        self,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chance = chance
        self._clock = clock
        self._seconds: OrderedDict[Key, float] = OrderedDict()
        self._tried_until: dict[Key, float] = {}

    def began(self, name: str, kind: str, after_s: float) -> None:
        """An answer began, or was given up, after so long."""
        key = (name, kind)
        self._tried_until.pop(key, None)
        self._seconds[key] = smoothed(self._seconds.get(key), after_s)
        self._seconds.move_to_end(key)
        if len(self._seconds) > MAX_MEASURED:
            self._seconds.popitem(last=False)

    def seconds(self, name: str, kind: str) -> float | None:
        return self._seconds.get((name, kind))

    def fastest(self, names: Sequence[str], kind: str) -> list[str]:
        """Who may be asked now for being fastest, in the order of `names`: one, or several that are alike."""
        untried = [name for name in names if self._is_untried((name, kind))]
        if untried:
            return self._tried(untried[0], kind)
        known = {name: seconds for name in names if (seconds := self.seconds(name, kind)) is not None}
        if not known:
            return list(names)
        bound = NEARLY * min(known.values())
        fastest = [name for name in names if known.get(name, bound + 1) <= bound]
        others = [name for name in known if name not in fastest]
        # One draw decides both whether and whom.
        explored = self._chance() / EXPLORED_SHARE
        if others and explored < 1:
            return self._tried(others[int(explored * len(others))], kind)
        return fastest

    def _is_untried(self, key: Key) -> bool:
        return key not in self._seconds and self._tried_until.get(key, 0.0) <= self._clock()

    def _tried(self, name: str, kind: str) -> list[str]:
        if len(self._tried_until) > MAX_MEASURED:
            self._tried_until.clear()
        self._tried_until[name, kind] = self._clock() + TRIED_FOR_S
        return [name]
