"""The ledger's rollups as OpenAI's usage pages: whole buckets of time, filtered, grouped and summed.

A range covers every bucket that it touches, the one that start_time lies in first. Those without usage are
there too, without results. The cursor of the next page is its first bucket.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from app.admin.call import Request
from app.admin.layout import Collection, Item
from app.admin.membership import sees
from app.errors import ApiError, invalid_request
from app.ledger_rollups import KEPT_DAYS, WIDTHS, Kind, Width, dimensions_of, partition, sort_key

LAST_S = 99_999_999_999
PAGE_PREFIX = "page_"
DAY_S = 86_400

Seconds = Annotated[int, Field(ge=0, le=LAST_S)]
Texts = list[str] | None

Group = tuple[str | bool | None, ...]
Sums = tuple[int, ...]
Part = tuple[Mapping[str, str | bool | None], Sums]
"""Some of a rollup: what it is of, by the names of the API, and what is added up."""


@dataclass(frozen=True, slots=True)
class Span:
    """The buckets of one page. end: of the last one. more: there are buckets after it."""

    width: Width
    start: int
    end: int
    more: bool

    @property
    def starts(self) -> range:
        return range(self.start, self.end, WIDTHS[self.width])


def span(
    *, width: Width, start_time: int, end_time: int | None, page: str | None, limit: int, now: float
) -> Span:
    """Raises ApiError that names the parameter."""
    width_s = WIDTHS[width]
    if end_time is not None and end_time <= start_time:
        raise _wrong("end_time", "must be later than start_time")
    first = start_time // width_s * width_s
    # What has not begun has no usage.
    last = min(int(now) + 1, LAST_S if end_time is None else end_time)
    if width == "1m" and first < now - KEPT_DAYS["1m"] * DAY_S:
        raise _wrong(
            "start_time", f"buckets of 1m are kept for {KEPT_DAYS['1m']} days; ask for a bucket_width of 1h"
        )
    if page is not None:
        number = page.removeprefix(PAGE_PREFIX)
        if not (page.startswith(PAGE_PREFIX) and number.isascii() and number.isdecimal()):
            raise _wrong("page", "must be the next_page of an earlier answer")
        if int(number) % width_s or not first <= int(number) <= LAST_S:
            raise _wrong("page", "must be the next_page of an answer to the same start_time and bucket_width")
        first = int(number)
    end = min(first + limit * width_s, max(first, -(-last // width_s) * width_s))
    return Span(width, first, end, more=end < last)


def limited(limit: int | None, default: int, most: int) -> int:
    """Raises ApiError."""
    if limit is not None and limit > most:
        raise _wrong("limit", f"must be less than or equal to {most}")
    return limit or default


async def rolled_up(request: Request, kinds: Iterable[Kind], span: Span) -> list[tuple[int, Item]]:
    """The rollups of a page's buckets, with the starts of these: of the projects that the asker sees."""
    found: list[tuple[int, Item]] = []
    for kind in kinds:
        collection = Collection(partition(request.admin.organization_id, kind, span.width), "")
        items = await request.store.between(collection, sort_key(span.start), sort_key(span.end))
        found += [
            (int(item["sk"].partition("#")[0]), item)
            for item in items
            if sees(request.admin, dimensions_of(item["dimensions"]).project_id)
        ]
    return found


def page(
    span: Span,
    parts: Iterable[tuple[int, Part]],
    group_by: Sequence[str],
    shown: Callable[[dict[str, Any], Sums], dict[str, Any]],
) -> dict[str, Any]:
    """parts: with the starts of their buckets. shown: a result, from the fields of its group and its sums."""
    by_bucket: dict[int, dict[Group, Sums]] = {start: {} for start in span.starts}
    for start, (fields, amounts) in parts:
        groups = by_bucket[start]
        group = tuple(fields[name] for name in group_by)
        known = groups.get(group)
        groups[group] = amounts if known is None else tuple(map(sum, zip(known, amounts, strict=True)))
    data = [
        {
            "object": "bucket",
            "start_time": start,
            "end_time": start + WIDTHS[span.width],
            "results": [
                shown(dict(zip(group_by, group, strict=True)), groups[group])
                for group in sorted(groups, key=lambda group: [str(value) for value in group])
            ],
        }
        for start, groups in by_bucket.items()
    ]
    next_page = f"{PAGE_PREFIX}{span.end}" if span.more else None
    return {"object": "page", "data": data, "has_more": span.more, "next_page": next_page}


def now() -> float:
    """Unix time."""
    return time.time()


def among(wanted: Texts, value: object) -> bool:
    return wanted is None or value in wanted


def _wrong(param: str, reason: str) -> ApiError:
    return invalid_request(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")
