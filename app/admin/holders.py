"""What settings are of: the organization or the project that the path names, which has them in its item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from app.admin import items
from app.admin.audit import Event, difference
from app.admin.call import Request
from app.admin.layout import Item, organization_address
from app.admin.writes import Create, Update, Write


@dataclass(frozen=True, slots=True)
class Holder:
    """item: as it was read; an organization without settings may have none yet, then a new one."""

    kind: Literal["organization", "project"]
    item: Item
    is_new: bool = False

    @property
    def scope(self) -> str:
        """As the ledger's totals call it."""
        return "ORG" if self.kind == "organization" else f"PROJECT#{self.item['id']}"

    def write(self, changed: Item) -> Write:
        return Create(changed) if self.is_new else Update(self.item, changed)

    def updated(self, before: dict[str, Any], after: dict[str, Any]) -> Event:
        """The log's entry; OpenAI has no types of their own for settings."""
        project = self.item if self.kind == "project" else None
        return Event(f"{self.kind}.updated", self.item["id"], None, before, after, project)


Shown = Callable[[Item], dict[str, Any]]
"""Of a holder's item, the settings in question as they are shown, by their names."""


async def holder(request: Request, *, to_change: bool = False) -> Holder:
    """Raises ApiError when the path names a project that is none, or is archived and `to_change`."""
    if "project_id" in request.ids:
        return Holder("project", await request.project(to_change=to_change))
    organization_id = request.admin.organization_id
    known = await request.store.get(organization_address(organization_id))
    if known is None:
        made = items.new_organization(organization_id, organization_id)
        return Holder("organization", made, is_new=True)
    # One that was written by other hands may have nothing but its limits.
    return Holder("organization", {**known, "id": organization_id})


async def changed(request: Request, edit: Callable[[Item], Item], shown: Shown) -> Holder:
    """The holder after a change, which `edit` makes of its item; it may be asked more than once."""

    async def change() -> Holder:
        found = await holder(request, to_change=True)
        after = edit(found.item)
        if after != found.item:
            told = difference(shown(found.item), shown(after))
            await request.commit([found.write(after)], [found.updated(*told)])
        return Holder(found.kind, after)

    return await request.settled(change)
