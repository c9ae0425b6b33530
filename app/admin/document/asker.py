"""Whoever asks: the user whose key the command has, and what takes their right to change things from them.

The API does not say whose a key is; it shows how each ends. What makes somebody lose the right to make the
rest of a plan's changes comes after all of them.
"""

from app.admin.bootstrap import is_bootstrap
from app.admin.document.door import Door
from app.admin.document.people import INVITE
from app.admin.document.sections import Step
from app.keys import redacted

Asker = frozenset[str]
"""Ids of users: several when their keys end alike, nobody's where a file is compared."""

OWN = "whoever asks can change nothing more after it"
ENDS = "the first owner's key, which asks, ends with it"


def asker(door: Door) -> Asker:
    """Raises RefusedError."""
    shown = redacted(door.admin_key)
    keys = door.all("/organization/admin_api_keys")
    return frozenset(key["owner"]["id"] for key in keys if key["redacted_value"] == shown)


def last(step: Step, who: Asker) -> str:
    """Why a step of users comes last of all; nothing when it does not."""
    if any(map(is_bootstrap, who)) and _makes_an_owner(step):
        return ENDS
    return OWN if step.before is not None and step.before.id in who and _takes_away(step) else ""


def _makes_an_owner(step: Step) -> bool:
    """Of somebody who is a user; an invited owner is none before they accept."""
    if step.before is None or step.before.id.startswith(INVITE) or step.after is None:
        return False
    return bool(step.before.value["role"] != step.after["role"] == "owner")


def _takes_away(step: Step) -> bool:
    if step.before is None or step.after is None:
        return step.after is None
    before, after = step.before.value, step.after
    owned = [name for name, role in before["projects"].items() if role == "owner"]
    return before["role"] == "owner" != after["role"] or any(
        after["projects"].get(name) != "owner" for name in owned
    )
