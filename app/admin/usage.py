"""Usage: tokens and requests of the ledger by time, and by project, service account, key and model.

`user_id` is the service account whose key it was: keys of this gateway are programs', not people's.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from app.admin.buckets import Part, Seconds, Sums, Texts, among, limited, now, page, rolled_up, span
from app.admin.call import Call, Request
from app.admin.items import READER
from app.admin.layout import Item
from app.admin.parameters import Cursor, Parameters
from app.ledger_rollups import TOKENS, Kind, Width, dimensions_of

LIMITS: dict[Width, tuple[int, int]] = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
"""Buckets of a page: unless asked otherwise, and at most."""

FIELDS = ("project_id", "user_id", "api_key_id", "model")
COMPLETIONS_FIELDS = (*FIELDS, "batch", "service_tier", "api_source")


class Query(Parameters):
    """What every call of usage takes."""

    start_time: Seconds
    end_time: Seconds | None = None
    bucket_width: Width = "1d"
    project_ids: Texts = None
    user_ids: Texts = None
    api_key_ids: Texts = None
    models: Texts = None
    limit: int | None = Field(default=None, ge=1)
    page: Cursor | None = None


class UsageQuery(Query):
    group_by: list[Literal["project_id", "user_id", "api_key_id", "model"]] = Field(default=[])


class CompletionsQuery(Query):
    batch: bool | None = None
    group_by: list[
        Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]
    ] = Field(default=[])


async def completions(request: Request, query: CompletionsQuery) -> dict[str, Any]:
    return await _usage(request, query, "completions", COMPLETIONS_FIELDS, batch=query.batch)


async def embeddings(request: Request, query: UsageQuery) -> dict[str, Any]:
    return await _usage(request, query, "embeddings", FIELDS)


async def moderations(request: Request, query: UsageQuery) -> dict[str, Any]:
    return await _usage(request, query, "moderations", FIELDS)


async def _usage(
    request: Request,
    query: UsageQuery | CompletionsQuery,
    kind: Kind,
    fields: Sequence[str],
    *,
    batch: bool | None = None,
) -> dict[str, Any]:
    buckets = span(
        width=query.bucket_width,
        start_time=query.start_time,
        end_time=query.end_time,
        page=query.page,
        limit=limited(query.limit, *LIMITS[query.bucket_width]),
        now=now(),
    )
    items = await rolled_up(request, (kind,), buckets)
    parts = [(start, _part(item)) for start, item in items]
    if batch is not None:
        parts = [part for part in parts if part[1][0]["batch"] is batch]

    def shown(group: dict[str, Any], sums: Sums) -> dict[str, Any]:
        requests, prompt, cached, completion = sums
        counts = {"num_model_requests": requests, "input_tokens": prompt}
        if kind == "completions":
            counts |= {"input_cached_tokens": cached, "output_tokens": completion}
        named = {name: group.get(name) for name in fields}
        return {"object": f"organization.usage.{kind}.result", **counts, **named}

    kept = [part for part in parts if _asked(part[1], query)]
    return page(buckets, kept, list(dict.fromkeys(query.group_by)), shown)


def dimensions(item: Item) -> dict[str, str | bool | None]:
    """What a rollup is of, by the names of the API."""
    of = dimensions_of(item["dimensions"])
    return {
        "project_id": of.project_id,
        "user_id": of.user_id or None,
        "api_key_id": of.key_id,
        "model": of.model,
        "batch": of.batch,
        "service_tier": of.service_tier,
        "api_source": "unlabeled",
    }


def _part(item: Item) -> Part:
    return dimensions(item), tuple(item[name] for name in TOKENS)


def _asked(part: Part, query: Query) -> bool:
    fields, _ = part
    return (
        among(query.project_ids, fields["project_id"])
        and among(query.user_ids, fields["user_id"])
        and among(query.api_key_ids, fields["api_key_id"])
        and among(query.models, fields["model"])
    )


CALLS = (
    Call("usage.completions", "GET", "/organization/usage/completions", READER, completions),
    Call("usage.embeddings", "GET", "/organization/usage/embeddings", READER, embeddings),
    Call("usage.moderations", "GET", "/organization/usage/moderations", READER, moderations),
)
