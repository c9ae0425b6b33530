"""Users: the people of an organization, each with one role there. A person who is owner always remains."""

from collections.abc import Callable, Mapping
from typing import Any

from app.admin import bootstrap, layout, refusals
from app.admin.audit import Event, difference, key_deleted
from app.admin.bootstrap import is_bootstrap
from app.admin.call import Call, Request, deleted, listed
from app.admin.items import OWNER, READER, Role
from app.admin.layout import Address, Item, email_address, project_address, user_address
from app.admin.membership import sees
from app.admin.parameters import Name, NotOffered, PageParameters, Parameters
from app.admin.roles import ORGANIZATION, named
from app.admin.store import Store
from app.admin.writes import Check, Delete, Forget, Update, Write
from app.errors import invalid_request

KIND = "organization.user"
MAX_KEYS = 40
"""That are deleted with their user; others of theirs stay in the list and let nobody in."""


Told = Callable[[Item, Item], Event]
"""The log's entry of a user as they were and are."""


class ListUsers(PageParameters):
    emails: list[str] | None = None


class UpdateUser(Parameters):
    role: Role | None = None
    role_id: Name | None = None
    developer_persona: NotOffered = None
    technical_level: NotOffered = None


def shown(user: Item, projects: Mapping[Address, Item] | None = None) -> dict[str, Any]:
    """As OpenAI's `OrganizationUser`. projects: those to show of the ones the user is in."""
    told = {
        "object": KIND,
        "id": user["id"],
        "name": user["name"],
        "email": user.get("email"),
        "role": user["role"],
        "added_at": user["added_at"],
    }
    if projects is None:
        return told
    data = [
        {"id": project_id, "name": projects[project_address(project_id)]["name"], "role": membership["role"]}
        for project_id, membership in sorted(user.get("projects", {}).items())
        if project_address(project_id) in projects
    ]
    return {**told, "projects": {"object": "list", "data": data}}


async def list_(request: Request, query: ListUsers) -> dict[str, Any]:
    wanted = None if query.emails is None else {email.strip().lower() for email in query.emails}
    page = await request.store.page(
        layout.users(request.admin.organization_id),
        after=query.after,
        limit=query.limit,
        keep=lambda user: wanted is None or user.get("email") in wanted,
    )
    projects = await _projects(request, page.items)
    return listed(page, lambda user: shown(user, projects))


async def retrieve(request: Request) -> dict[str, Any]:
    user = await named_user(request)
    return shown(user, await _projects(request, [user]))


async def update(request: Request, body: UpdateUser) -> dict[str, Any]:
    role = _asked(body)
    if role is None:
        return await retrieve(request)

    def told(before: Item, after: Item) -> Event:
        changes = difference(shown(before), shown(after))
        return Event("user.updated", after["id"], {"changes_requested": {"role": role}}, *changes)

    user = await change_role(request, role, told)
    return shown(user, await _projects(request, [user]))


async def delete(request: Request) -> dict[str, Any]:
    """Their admin keys and places in projects end with them. Oneself too, unless one is the last owner."""

    async def change() -> str:
        user = await named_user(request)
        organization_id = request.admin.organization_id
        writes = await owner_beside(request, user)
        events = [Event("user.deleted", user["id"], None, before=shown(user))]
        if is_bootstrap(user["id"]):
            ended, _ = await bootstrap_ends(request.store, organization_id)
            # Of whoever is in their place by now, who was not asked for, nothing is deleted.
            writes += [write for write in ended if not isinstance(write, Delete)]
        writes.append(Delete(user))
        if user.get("email"):
            writes.append(Forget(email_address(organization_id, user["email"])))
        keys = await request.store.page(
            layout.admin_keys(organization_id), limit=MAX_KEYS, keep=lambda key: key["user_id"] == user["id"]
        )
        writes += [Delete(key) for key in keys.items]
        events += [key_deleted(key) for key in keys.items]
        await request.commit(writes, events)
        return str(user["id"])

    return deleted(KIND, await request.settled(change))


async def named_user(request: Request) -> Item:
    """The user whom the path names. Raises ApiError."""
    return await request.member(layout.users(request.admin.organization_id), "user", "user_id")


async def change_role(request: Request, role: Role, told: Told) -> Item:
    """The user whom the path names, with this role in the organization. Raises ApiError."""

    async def change() -> Item:
        user = await named_user(request)
        changed = {**user, "role": role}
        if changed == user:
            return user
        if is_bootstrap(user["id"]):
            raise refusals.bootstrap_user()
        writes, events = await owner_beside(request, user), [told(user, changed)]
        if role == OWNER:
            ended, logged = await bootstrap_ends(request.store, request.admin.organization_id)
            writes, events = writes + ended, events + logged
        await request.commit([*writes, Update(user, changed)], events)
        return changed

    return await request.settled(change)


async def owner_beside(request: Request, user: Item) -> list[Write]:
    """What sees to it that a person stays owner when this user does not. Raises ApiError when none would."""
    admin = request.admin
    # Whoever else asks is an owner, which `Request.commit` has the transaction check.
    if user["role"] != OWNER or not (admin.user_id == user["id"] or is_bootstrap(admin.user_id)):
        return []
    others = await request.store.page(
        layout.users(admin.organization_id),
        limit=1,
        keep=lambda other: (
            other["role"] == OWNER and other["id"] != user["id"] and not is_bootstrap(other["id"])
        ),
    )
    if not others.items:
        raise refusals.last_owner()
    return [Check(user_address(admin.organization_id, others.items[0]["id"]), {"role": OWNER})]


async def bootstrap_ends(store: Store, organization_id: str) -> tuple[list[Write], list[Event]]:
    """Of the transaction that makes a person owner."""
    organization = await store.get(layout.organization_address(organization_id))
    if organization is None:
        return [], []
    address = bootstrap.bootstrap_address(organization)
    user = await store.get(address) if address is not None else None
    writes = bootstrap.closing(organization, user)
    if user is None or not writes:
        return writes, []
    return writes, [Event("user.deleted", user["id"], None, before=shown(user))]


def _asked(body: UpdateUser) -> Role | None:
    if body.role_id is None:
        return body.role
    asked: Role = OWNER if named(ORGANIZATION, body.role_id)["name"] == OWNER else READER
    if body.role not in (None, asked):
        raise invalid_request(
            "Invalid value for 'role_id': it is another role than 'role' is. Send one of them.",
            param="role_id",
            code="invalid_value",
        )
    return asked


async def _projects(request: Request, users: list[Item]) -> dict[Address, Item]:
    """Those that whoever asks sees, of the ones these users are in."""
    return await request.store.get_all(
        project_address(project_id)
        for user in users
        for project_id in user.get("projects", {})
        if sees(request.admin, project_id)
    )


_USERS = "/organization/users"
_USER = "/organization/users/{user_id}"

CALLS = (
    Call("users.list", "GET", _USERS, READER, list_),
    Call("users.retrieve", "GET", _USER, READER, retrieve),
    Call("users.update", "POST", _USER, OWNER, update),
    Call("users.delete", "DELETE", _USER, OWNER, delete),
)
