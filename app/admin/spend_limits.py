"""Hard limits of what the organization or a project spends in a month, in cents; admission holds them."""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from app.admin import items
from app.admin.call import Call, Request
from app.admin.holders import Holder, changed, holder
from app.admin.items import OWNER, READER
from app.admin.layout import Address, Item
from app.admin.parameters import Parameters
from app.errors import ApiError, invalid_request
from app.ledger_record import totals_address
from app.limits import MOST_MICRO_USD

MICRO_PER_CENT = 10_000
ATTRIBUTE = "spend_limit_micro_usd"


class UpdateSpendLimit(Parameters):
    currency: Literal["USD"]
    interval: Literal["month"]
    threshold_amount: int = Field(ge=0, le=MOST_MICRO_USD // MICRO_PER_CENT)


async def retrieve(request: Request) -> dict[str, Any]:
    found = await holder(request)
    if ATTRIBUTE not in found.item:
        raise _no_limit(found.kind)
    return await _shown(request, found)


async def update(request: Request, body: UpdateSpendLimit) -> dict[str, Any]:
    def edit(item: Item) -> Item:
        return {**item, ATTRIBUTE: body.threshold_amount * MICRO_PER_CENT}

    return await _shown(request, await changed(request, edit, _told))


async def delete(request: Request) -> dict[str, Any]:
    def edit(item: Item) -> Item:
        if ATTRIBUTE not in item:
            raise _no_limit("project" if "project_id" in request.ids else "organization")
        return {name: value for name, value in item.items() if name != ATTRIBUTE}

    left = await changed(request, edit, _told)
    return {"object": f"{left.kind}.spend_limit.deleted", "deleted": True}


async def _shown(request: Request, found: Holder) -> dict[str, Any]:
    limit = found.item[ATTRIBUTE]
    month = datetime.fromtimestamp(items.now(), UTC).strftime("%Y-%m")
    key = totals_address(request.admin.organization_id, month, found.scope)
    totals = await request.store.get(Address(key["pk"]["S"], key["sk"]["S"]))
    left = limit - (totals["micro_usd"] if totals else 0)
    return {
        "object": f"{found.kind}.spend_limit",
        "currency": "USD",
        "interval": "month",
        "threshold_amount": limit // MICRO_PER_CENT,
        # In cents nothing is left then; what costs more than is left is refused before.
        "enforcement": {"status": "enforcing" if left < MICRO_PER_CENT else "inactive"},
    }


def _told(item: Item) -> dict[str, Any]:
    limit = item.get(ATTRIBUTE)
    return {
        "spend_limit": None if limit is None else {"threshold_amount": limit // MICRO_PER_CENT},
    }


def _no_limit(kind: str) -> ApiError:
    return invalid_request(f"The {kind} has no spend limit.", code="not_found", status=404)


_ORGANIZATION = "/organization/spend_limit"
_PROJECT = "/organization/projects/{project_id}/spend_limit"

CALLS = tuple(
    call
    for name, path in (("spend_limit", _ORGANIZATION), ("projects.spend_limit", _PROJECT))
    for call in (
        Call(f"{name}.retrieve", "GET", path, READER, retrieve),
        Call(f"{name}.update", "POST", path, OWNER, update),
        Call(f"{name}.delete", "DELETE", path, OWNER, delete),
    )
)
