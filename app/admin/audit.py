"""Entries of the audit log, made to be written in the same transaction as the change they tell of.

Types and shapes are OpenAI's; `before`, `after`, `ip_address` and `user_agent` are ours beside them.
"""

import time
from dataclasses import dataclass
from typing import Any

from app.admin.layout import Item
from app.ids import new_id

ID_PREFIX = "audit_log-"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change, and from where. An operator's command has neither key nor user."""

    user_id: str | None = None
    email: str | None = None
    key_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None

    def shown(self) -> dict[str, Any]:
        """As an entry has it."""
        user = _filled(id=self.user_id, email=self.email)
        if self.key_id is None:
            session = _filled(ip_address=self.ip_address, user=user or None)
            return _filled(type="session", session=session, user_agent=self.user_agent)
        return _filled(
            type="api_key",
            api_key={"id": self.key_id, "type": "user", "user": user},
            ip_address=self.ip_address,
            user_agent=self.user_agent,
        )


OPERATOR = Actor(user_agent="operator")
"""Somebody with access to the stack on AWS, whom CloudTrail names."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change. kind: OpenAI's event type. id: of what was changed. details: the type's own fields.

    before, after: the changed fields as they are shown, None for what was not or is not there. project: the
    item of the project in which it happened.
    """

    kind: str
    id: str
    details: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    project: Item | None = None


def entry(organization_id: str, actor: Actor, event: Event) -> Item:
    """The item of an entry; `shown` of it is what the API answers."""
    entry_id = new_id(ID_PREFIX)
    told = {"id": event.id, **(event.details or {}), "before": event.before, "after": event.after}
    project = event.project
    return {
        "pk": f"ORG#{organization_id}",
        "sk": f"AUDIT#{entry_id}",
        "shown": {
            "id": entry_id,
            "type": event.kind,
            "effective_at": int(time.time()),
            "actor": actor.shown(),
            **({"project": _filled(id=project["id"], name=project.get("name"))} if project else {}),
            event.kind: told,
        },
    }


def key_created(key: Item, project: Item | None = None) -> Event:
    """Of a new key: of the project, or an admin's."""
    told = {"name": key["name"], "redacted_value": key["redacted"], "expires_at": key.get("expires_at")}
    return Event("api_key.created", key["id"], {"data": {"scopes": []}}, after=told, project=project)


def key_deleted(key: Item, project: Item | None = None) -> Event:
    """Of one that is gone."""
    told = {"name": key["name"], "redacted_value": key["redacted"]}
    return Event("api_key.deleted", key["id"], before=told, project=project)


def difference(before: Item, after: Item) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of two shown objects, the fields that differ: as they were, as they are."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before.get(name) for name in changed}, {name: after.get(name) for name in changed}


def _filled(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
