"""The audit log: every change of the organization, the latest first. Readers see those in their projects."""

from typing import Any

from pydantic import Field

from app.admin import layout
from app.admin.audit import ID_PREFIX
from app.admin.call import Call, Request, listed
from app.admin.items import READER
from app.admin.layout import Item
from app.admin.membership import sees, visible_projects
from app.admin.parameters import Cursor, PageParameters, Parameters
from app.admin.store import Page
from app.ids import first_id

LAST_S = 17_000_000_000
"""In the year 2508, the last that ids can tell."""

Texts = list[str] | None


class Range(Parameters):
    """Unix seconds."""

    gt: int | None = Field(default=None, ge=0, le=LAST_S)
    gte: int | None = Field(default=None, ge=0, le=LAST_S)
    lt: int | None = Field(default=None, ge=0, le=LAST_S)
    lte: int | None = Field(default=None, ge=0, le=LAST_S)

    @property
    def first_s(self) -> int:
        return max(self.gte or 0, -1 if self.gt is None else self.gt + 1)

    @property
    def last_s(self) -> int:
        most = LAST_S if self.lte is None else self.lte
        return most if self.lt is None else min(most, self.lt - 1)


class ListAuditLogs(PageParameters):
    before: Cursor | None = None
    effective_at: Range = Range()
    event_types: Texts = None
    actor_ids: Texts = None
    actor_emails: Texts = None
    project_ids: Texts = None
    resource_ids: Texts = None
    tenant_only: bool = False


async def list_(request: Request, query: ListAuditLogs) -> dict[str, Any]:
    if visible_projects(request.admin) == frozenset():
        return listed(Page([], has_more=False), dict)
    span = query.effective_at

    def keep(item: Item) -> bool:
        entry = item["shown"]
        return (
            span.first_s <= entry["effective_at"] <= span.last_s
            and sees(request.admin, entry.get("project", {}).get("id"))
            and _matches(entry, query)
        )

    page = await request.store.page(
        layout.audit_log(request.admin.organization_id),
        after=query.after,
        before=query.before,
        limit=query.limit,
        descending=True,
        keep=keep,
        # An id can be later than its entry's second, when many are made at once.
        between=(
            first_id(ID_PREFIX, span.first_s * 1000),
            first_id(ID_PREFIX, min(span.last_s + 60, LAST_S) * 1000),
        ),
    )
    return listed(page, lambda item: dict(item["shown"]))


def _matches(entry: dict[str, Any], query: ListAuditLogs) -> bool:
    key = entry["actor"].get("api_key", {})
    user = key.get("user", {})
    return (
        # Events of OpenAI's tenants, above organizations, do not happen here.
        not query.tenant_only
        and _among(query.event_types, entry["type"])
        and _among(query.actor_ids, user.get("id"), key.get("id"))
        and _among(query.actor_emails, user.get("email"))
        and _among(query.project_ids, entry.get("project", {}).get("id"))
        and _among(query.resource_ids, entry[entry["type"]]["id"])
    )


def _among(wanted: Texts, *values: str | None) -> bool:
    return wanted is None or any(value in wanted for value in values)


CALLS = (Call("audit_logs.list", "GET", "/organization/audit_logs", READER, list_),)
