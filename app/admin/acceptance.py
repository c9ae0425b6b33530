"""The acceptance of an invite: whoever has its token becomes a user with a first admin key, exactly once."""

from dataclasses import dataclass, field
from typing import Literal

from app.admin import items, layout, refusals
from app.admin.audit import Actor, Event, key_created
from app.admin.invites import shown, status
from app.admin.items import OWNER
from app.admin.layout import Item, invite_address, project_address
from app.admin.notices import Notices
from app.admin.store import ConflictError, Store, settled
from app.admin.users import bootstrap_ends
from app.admin.users import shown as shown_user
from app.admin.writes import Check, Create, Update, Write
from app.keys import hash_key, looks_like_invite

Void = Literal["unknown", "accepted", "expired"]


class VoidInviteError(Exception):
    """The token opens nothing. reason: why."""

    def __init__(self, reason: Void) -> None:
        super().__init__(f"the invite is void: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """key: the new user's, in clear, to be shown this one time."""

    user: Item
    key: str = field(repr=False)


class Acceptance:
    """Each method raises TableUnavailableError."""

    def __init__(self, store: Store, pepper: str, notices: Notices) -> None:
        self._store = store
        self._pepper = pepper
        self._notices = notices

    async def pending(self, token: str) -> Item:
        """The invite of a token. Raises VoidInviteError."""
        if not looks_like_invite(token):
            raise VoidInviteError("unknown")
        invite = await self._store.get(invite_address(hash_key(self._pepper, token)))
        if invite is None:
            raise VoidInviteError("unknown")
        now = status(invite)
        if now != "pending":
            raise VoidInviteError(now)
        return invite

    async def accept(self, token: str, name: str, actor: Actor) -> Accepted:
        """actor: from where; who it is comes from the invite. Raises VoidInviteError and ApiError."""

        async def change() -> Accepted:
            return await self._accept(await self.pending(token), name, actor)

        made = await settled(change)
        user = made.user
        await self._notices.tell(
            f"{user['email']} is {user['role']} of {user['organization_id']} now",
            f"The invite of {user['email']} to {user['organization_id']} as {user['role']} was accepted; the "
            f"user is {user['id']}. If this should not be, an owner deletes the user.",
        )
        return made

    async def _accept(self, invite: Item, name: str, actor: Actor) -> Accepted:
        organization_id = invite["organization_id"]
        roles = {project["id"]: project["role"] for project in invite["projects"]}
        projects = await self._store.get_all(map(project_address, roles))
        # One that was archived meanwhile is no place to be let into.
        open_ones = [project for project in projects.values() if project["status"] == "active"]
        user = items.new_user(
            organization_id,
            name=name,
            email=invite["email"],
            role=invite["role"],
            projects={project["id"]: roles[project["id"]] for project in open_ones},
        )
        key_text, key = items.new_admin_key(self._pepper, user, name="First key")
        accepted = {**invite, "accepted_at": items.now(), "user_id": user["id"]}
        used, email = Update(invite, accepted), Create(items.new_email(user))
        writes: list[Write] = [
            used,
            Create(user),
            email,
            Create(key),
            *(Check(layout.Address.of(project), {"status": "active"}) for project in open_ones),
        ]
        events = [
            Event("invite.accepted", invite["id"], None, shown(invite), shown(accepted)),
            Event("user.added", user["id"], {"data": {"role": user["role"]}}, after=shown_user(user)),
            *(
                Event("user.added", user["id"], {"data": {"role": roles[project["id"]]}}, project=project)
                for project in open_ones
            ),
            key_created(key),
        ]
        if user["role"] == OWNER:
            ended, logged = await bootstrap_ends(self._store, organization_id)
            writes, events = writes + ended, events + logged
        whose = Actor(user["id"], user["email"], None, actor.ip_address, actor.user_agent)
        try:
            await self._store.commit(organization_id, whose, writes, events)
        except ConflictError as conflict:
            # When the invite has changed as well, somebody was faster with it.
            if email in conflict.failed and used not in conflict.failed:
                raise refusals.email_taken(None) from None
            raise
        return Accepted(user, key_text)
