"""Users of a project. Each is a user of the organization, whose item says in which projects they are."""

from collections.abc import Callable
from typing import Any, Literal

from app.admin import layout, refusals
from app.admin.audit import Event, difference
from app.admin.call import OF_PROJECT, Call, Request, deleted, listed
from app.admin.items import READER, ProjectRole, new_membership
from app.admin.layout import Item, email_address, project_address, user_address
from app.admin.parameters import Name, PageParameters, Parameters
from app.admin.users import named_user
from app.admin.writes import Check, Update
from app.errors import invalid_request

KIND = "organization.project.user"
MAX_PROJECTS = 500
"""Of one user, whose item holds them all."""

_ACTIVE = {"status": "active"}


class CreateProjectUser(Parameters):
    role: Literal["owner", "member"]
    user_id: Name | None = None
    email: Name | None = None


class UpdateProjectUser(Parameters):
    role: Literal["owner", "member"] | None = None


Told = Callable[[Item, dict[str, Any] | None, dict[str, Any] | None], Event]
"""The log's entry: of the project, and the user as they were and are shown there, None when not there."""


def shown(user: Item, project_id: str) -> dict[str, Any]:
    """As OpenAI's `ProjectUser`."""
    membership = user["projects"][project_id]
    return {
        "object": KIND,
        "id": user["id"],
        "name": user["name"],
        "email": user.get("email"),
        "role": membership["role"],
        "added_at": membership["added_at"],
    }


async def create(request: Request, body: CreateProjectUser) -> dict[str, Any]:
    def told(project: Item, _: dict[str, Any] | None, after: dict[str, Any] | None) -> Event:
        user_id = (after or {})["id"]
        return Event("user.added", user_id, {"data": {"role": body.role}}, after=after, project=project)

    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        user = await _asked(request, body)
        if project["id"] in user.get("projects", {}):
            raise invalid_request(
                f"The user {user['id']!r} is in the project already. Change their role instead.",
                param="user_id" if body.user_id is not None else "email",
                code="already_member",
            )
        changed = await commit_role(request, project, user, body.role, told)
        return shown(changed, project["id"])

    return await request.settled(change)


async def list_(request: Request, query: PageParameters) -> dict[str, Any]:
    project = await request.project()
    page = await request.store.page(
        layout.users(request.admin.organization_id),
        after=query.after,
        limit=query.limit,
        keep=lambda user: project["id"] in user.get("projects", {}),
    )
    return listed(page, lambda user: shown(user, project["id"]))


async def retrieve(request: Request) -> dict[str, Any]:
    project = await request.project()
    return shown(await named_member(request, project), project["id"])


async def update(request: Request, body: UpdateProjectUser) -> dict[str, Any]:
    def told(project: Item, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Event:
        requested = {"changes_requested": {"role": body.role}}
        changes = difference(before or {}, after or {})
        return Event("user.updated", request.ids["user_id"], requested, *changes, project=project)

    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        user = await named_member(request, project)
        role = body.role or user["projects"][project["id"]]["role"]
        return shown(await commit_role(request, project, user, role, told), project["id"])

    return await request.settled(change)


async def delete(request: Request) -> dict[str, Any]:
    def told(project: Item, before: dict[str, Any] | None, _: dict[str, Any] | None) -> Event:
        return Event("user.deleted", request.ids["user_id"], None, before=before, project=project)

    async def change() -> str:
        project = await request.project()
        user = await named_member(request, project)
        await commit_role(request, project, user, None, told)
        return str(user["id"])

    return deleted(KIND, await request.settled(change))


async def named_member(request: Request, project: Item) -> Item:
    """The user of the project whom the path names. Raises ApiError."""
    user = await named_user(request)
    if project["id"] not in user.get("projects", {}):
        raise refusals.missing("user of this project", user["id"], "user_id")
    return user


async def commit_role(
    request: Request, project: Item, user: Item, role: ProjectRole | None, told: Told
) -> Item:
    """The user with this role in the project, None for none. Raises ApiError, ConflictError."""
    project_id, known = project["id"], user.get("projects", {})
    projects = {one: membership for one, membership in known.items() if one != project_id}
    if role is not None:
        projects[project_id] = {**(known.get(project_id) or new_membership(role)), "role": role}
    if len(projects) > MAX_PROJECTS:
        raise invalid_request(
            f"A user can be in {MAX_PROJECTS} projects. Remove them from another one first.",
            param="user_id",
            code="too_many_projects",
        )
    changed = {**user, "projects": projects}
    if projects != known:
        before, after = (
            shown(one, project_id) if project_id in one.get("projects", {}) else None
            for one in (user, changed)
        )
        checks = [] if role is None else [Check(project_address(project_id), _ACTIVE)]
        await request.commit([*checks, Update(user, changed)], [told(project, before, after)])
    return changed


async def _asked(request: Request, body: CreateProjectUser) -> Item:
    """The user whom a body names. Raises ApiError."""
    organization_id = request.admin.organization_id
    if (body.user_id is None) is (body.email is None):
        raise invalid_request(
            "Missing required parameter: 'user_id'. Send either the user's id or their e-mail address.",
            param="user_id",
            code="missing_required_parameter",
        )
    user_id = body.user_id
    if body.email is not None:
        known = await request.store.get(email_address(organization_id, body.email.strip().lower()))
        user_id = known["user_id"] if known else None
    user = await request.store.get(user_address(organization_id, user_id)) if user_id else None
    if user is None:
        param, given = ("user_id", body.user_id) if body.user_id else ("email", body.email)
        raise refusals.missing("user", str(given), param)
    return user


_USERS = "/organization/projects/{project_id}/users"
_USER = f"{_USERS}/{{user_id}}"

CALLS = (
    Call("projects.users.create", "POST", _USERS, OF_PROJECT, create),
    Call("projects.users.list", "GET", _USERS, READER, list_),
    Call("projects.users.retrieve", "GET", _USER, READER, retrieve),
    Call("projects.users.update", "POST", _USER, OF_PROJECT, update),
    Call("projects.users.delete", "DELETE", _USER, OF_PROJECT, delete),
)
