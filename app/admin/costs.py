"""Costs: what the ledger charged by the day, by project, service account, key and line item.

A line item is a model and what is paid for of it, as in `gpt-5-mini, input_tokens`. A request is charged a
whole number of micro-dollars, rounded up; what is rounded is its input's.
"""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from app.admin.buckets import Part, Seconds, Sums, Texts, among, limited, now, page, rolled_up, span
from app.admin.call import Call, Request
from app.admin.items import READER
from app.admin.layout import Item
from app.admin.parameters import Cursor, Parameters
from app.admin.usage import dimensions
from app.ledger_rollups import Kind

DEFAULT_LIMIT = 7
MOST_LIMIT = 180
MICRO_PER_USD = 1_000_000
KINDS: tuple[Kind, ...] = ("completions", "embeddings", "moderations", "other")
FIELDS = ("project_id", "user_id", "api_key_id", "line_item", "api_source")


class CostsQuery(Parameters):
    start_time: Seconds
    end_time: Seconds | None = None
    bucket_width: Literal["1d"] = "1d"
    project_ids: Texts = None
    api_key_ids: Texts = None
    line_items: Texts = None
    group_by: list[Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]] = Field(
        default=[]
    )
    limit: int | None = Field(default=None, ge=1)
    page: Cursor | None = None


async def costs(request: Request, query: CostsQuery) -> dict[str, Any]:
    days = span(
        width="1d",
        start_time=query.start_time,
        end_time=query.end_time,
        page=query.page,
        limit=limited(query.limit, DEFAULT_LIMIT, MOST_LIMIT),
        now=now(),
    )
    group_by = list(dict.fromkeys(query.group_by))
    by_line = "line_item" in group_by

    def shown(group: dict[str, Any], sums: Sums) -> dict[str, Any]:
        micro_usd, tokens = sums
        return {
            "object": "organization.costs.result",
            "amount": {"value": micro_usd / MICRO_PER_USD, "currency": "usd"},
            "quantity": float(tokens) if by_line else None,
            "quantity_unit": "tokens" if by_line else None,
            **{name: group.get(name) for name in FIELDS},
        }

    parts = [
        (start, part)
        for start, item in await rolled_up(request, KINDS, days)
        for part in _lines(item)
        if _asked(part, query)
    ]
    return page(days, parts, group_by, shown)


def _lines(item: Item) -> Iterator[Part]:
    """The line items of a rollup; those that stand for nothing are left out."""
    fields = dimensions(item)
    cached, completion = item["cached_micro_usd"], item["completion_micro_usd"]
    for what, micro_usd, tokens in (
        (
            "input_tokens",
            item["micro_usd"] - cached - completion,
            item["prompt_tokens"] - item["cached_tokens"],
        ),
        ("cached_input_tokens", cached, item["cached_tokens"]),
        ("output_tokens", completion, item["completion_tokens"]),
    ):
        if micro_usd or tokens:
            yield {**fields, "line_item": f"{fields['model']}, {what}"}, (micro_usd, tokens)


def _asked(part: Part, query: CostsQuery) -> bool:
    fields, _ = part
    return (
        among(query.project_ids, fields["project_id"])
        and among(query.api_key_ids, fields["api_key_id"])
        and among(query.line_items, fields["line_item"])
    )


CALLS = (Call("usage.costs", "GET", "/organization/costs", READER, costs),)
