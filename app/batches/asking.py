"""What the calls for files and batches have in common: who asks, what is theirs, and pages of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import Field

from app import errors
from app.admin.layout import Item
from app.admin.parameters import Cursor, Parameters
from app.admission.admission import Admission
from app.batches.records import Kind, Records
from app.batches.settling import Settling
from app.exchange import Exchange
from app.gateway import Steps
from app.identity import Caller
from app.prices import Prices
from app.table import TableUnavailableError
from app.valkey import ValkeyReplyError, ValkeyUnavailableError

MOST_SHOWN = 100
PURPOSE = "batch"


@dataclass(frozen=True, slots=True)
class Parts:
    """What files and batches are handled with."""

    steps: Steps
    records: Records
    settling: Settling
    prices: Prices

    @property
    def admission(self) -> Admission:
        return self.steps.admission


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for files or batches. query: as it came."""

    exchange: Exchange
    parts: Parts
    caller: Caller
    query: bytes

    async def own(self, kind: Kind, item_id: str, param: str) -> Item:
        """What is the project's. Raises ApiError (404) when it is another's or nobody's."""
        item = await self.parts.records.get(kind, self.caller.project_id, item_id)
        if item is None:
            raise errors.no_such("File" if kind == "FILE" else "Batch", item_id, param)
        return item


class FilesQuery(Parameters):
    """Of a list of files. OpenAI shows up to 10,000 at once, this gateway 100; who asks for more gets more
    pages."""

    after: Cursor | None = None
    limit: int = Field(default=10_000, ge=1, le=10_000)
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


class BatchesQuery(Parameters):
    after: Cursor | None = None
    limit: int = Field(default=20, ge=1, le=100)


async def listed(asked: Asked, kind: Kind, query: FilesQuery | BatchesQuery) -> dict[str, Any]:
    """A page of what is the project's."""
    after = None if query.after is None else await asked.own(kind, query.after, "after")
    purpose = query.purpose if isinstance(query, FilesQuery) else None
    page = await asked.parts.records.page(
        kind,
        asked.caller.project_id,
        limit=min(query.limit, MOST_SHOWN),
        after=after,
        descending=not isinstance(query, FilesQuery) or query.order == "desc",
        keep=lambda item: purpose is None or orjson.loads(item["value"])["purpose"] == purpose,
    )
    values = [orjson.loads(item["value"]) for item in page.items]
    ends = {"first_id": values[0]["id"], "last_id": values[-1]["id"]} if values else {}
    return {"object": "list", "data": values, **ends, "has_more": page.has_more}


@contextmanager
def kept_account_of() -> Iterator[None]:
    """Nothing is done of which no account can be kept. Raises ApiError (503)."""
    try:
        yield
    except (TableUnavailableError, ValkeyUnavailableError, ValkeyReplyError):
        raise errors.batches_unavailable() from None


def told(value: Mapping[str, Any], *, concluded: bool) -> dict[str, Any]:
    """A batch as its project sees it: it ends when its usage is known and its files are the project's."""
    if concluded:
        return dict(value)
    unfinished = {name: None for name in _OF_THE_END if name in value}
    return {**value, **unfinished, "status": "finalizing"}


_OF_THE_END = (
    *("output_file_id", "error_file_id", "completed_at", "failed_at", "expired_at", "cancelled_at"),
    "usage",
)
