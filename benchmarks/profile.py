"""Where a process's time went, from a file of cProfile: by package, and the functions that took the most."""

import pstats
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_PACKAGE = re.compile(r"site-packages/(\w+)")
_OURS = re.compile(r"/(app/.+)\.py$")
_WAITING = ("{built-in method select", "{method 'poll'")


def by_package(path: Path) -> list[tuple[str, float]]:
    """Shares of the time, from 0 to 1, in a function's own code; ours by module, the rest by package."""
    seconds: dict[str, float] = defaultdict(float)
    for (file, _line, _function), (_calls, _primitive, own_s, _total_s, _callers) in _stats(path).items():
        seconds[_name(file)] += own_s
    total = sum(seconds.values())
    return [(name, spent / total) for name, spent in _largest_first(seconds.items())]


def by_function(path: Path, count: int) -> list[tuple[str, float]]:
    """The functions with the largest shares of the time in their own code."""
    stats = _stats(path)
    total = sum(own_s for _, _, own_s, _, _ in stats.values())
    rows = [
        (f"{_name(file)}: {function}", own_s / total)
        for (file, _line, function), (_, _, own_s, _, _) in stats.items()
    ]
    return _largest_first(rows)[:count]


def _stats(path: Path) -> dict[tuple[str, int, str], tuple[int, int, float, float, object]]:
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    # The loop itself is C code: what is outside of every Python function is in `run_until_complete`.
    return {place: figures for place, figures in stats.items() if not place[2].startswith(_WAITING)}


def _largest_first(rows: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(rows, key=lambda row: -row[1])


def _name(file: str) -> str:
    if ours := _OURS.search(file):
        return ours[1]
    if package := _PACKAGE.search(file):
        return package[1]
    return "built in" if file == "~" else Path(file).parent.name + "/" + Path(file).stem
