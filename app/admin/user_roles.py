"""The role of a user in the organization and in a project, assigned as OpenAI assigns roles.

A user has one role in the organization and at most one in a project, so assigning one takes the place of the
former. Taking away what lets somebody change things leaves the role that looks; taking that away in a
project ends their place there, and in the organization it is refused: who is to leave is deleted.
"""

from typing import Any

from app.admin import project_users, users
from app.admin.audit import Event, difference
from app.admin.call import OF_PROJECT, Call, Request
from app.admin.items import OWNER, PROJECT_MEMBER, READER, ProjectRole
from app.admin.layout import Item
from app.admin.parameters import Name, Parameters
from app.admin.refusals import missing
from app.admin.roles import ORGANIZATION, PROJECT, ListRoles, named, of_name, roles_listed
from app.errors import invalid_request

_CREATED, _DELETED = "role.assignment.created", "role.assignment.deleted"


class AssignRole(Parameters):
    role_id: Name


async def create(request: Request, body: AssignRole) -> dict[str, Any]:
    role = named(ORGANIZATION, body.role_id)
    user = await users.change_role(request, role["name"], _told(_CREATED, role, request))
    return {"object": "user.role", "role": role, "user": users.shown(user)}


async def list_(request: Request, query: ListRoles) -> dict[str, Any]:
    user = await users.named_user(request)
    return roles_listed([_assignment(of_name(ORGANIZATION, user["role"]))], query)


async def retrieve(request: Request) -> dict[str, Any]:
    user = await users.named_user(request)
    return _assignment(_had(request, named(ORGANIZATION, request.ids["role_id"]), user["role"]))


async def delete(request: Request) -> dict[str, Any]:
    user = await users.named_user(request)
    role = _had(request, named(ORGANIZATION, request.ids["role_id"]), user["role"])
    if role["name"] == READER:
        raise invalid_request(
            "Everybody in the organization is at least a reader. Delete the user instead.",
            param="role_id",
            code="last_role",
        )
    await users.change_role(request, READER, _told(_DELETED, role, request))
    return {"object": "user.role.deleted", "deleted": True}


async def create_in_project(request: Request, body: AssignRole) -> dict[str, Any]:
    """Somebody who is not in the project comes in by it."""
    role = named(PROJECT, body.role_id)

    async def change() -> Item:
        project = await request.project(to_change=True)
        user = await users.named_user(request)
        told = _told_in_project(_CREATED, role, request)
        return await project_users.commit_role(request, project, user, role["name"], told)

    return {"object": "user.role", "role": role, "user": users.shown(await request.settled(change))}


async def list_in_project(request: Request, query: ListRoles) -> dict[str, Any]:
    return roles_listed([_assignment(of_name(PROJECT, await _role_in_project(request)))], query)


async def retrieve_in_project(request: Request) -> dict[str, Any]:
    name = await _role_in_project(request)
    return _assignment(_had(request, named(PROJECT, request.ids["role_id"]), name))


async def delete_in_project(request: Request) -> dict[str, Any]:
    async def change() -> None:
        project = await request.project()
        user = await project_users.named_member(request, project)
        had = user["projects"][project["id"]]["role"]
        role = _had(request, named(PROJECT, request.ids["role_id"]), had)
        left: ProjectRole | None = PROJECT_MEMBER if had == OWNER else None
        told = _told_in_project(_DELETED, role, request)
        await project_users.commit_role(request, project, user, left, told)

    await request.settled(change)
    return {"object": "user.role.deleted", "deleted": True}


def _assignment(role: dict[str, Any]) -> dict[str, Any]:
    """As OpenAI lists a role that somebody has."""
    return {name: value for name, value in role.items() if name != "object"}


def _had(request: Request, role: dict[str, Any], name: str) -> dict[str, Any]:
    """The role, when it is what the user has. Raises ApiError."""
    if role["name"] != name:
        raise missing("role of this user", request.ids["role_id"], "role_id")
    return role


async def _role_in_project(request: Request) -> str:
    project = await request.project()
    user = await project_users.named_member(request, project)
    return str(user["projects"][project["id"]]["role"])


def _details(role: dict[str, Any], user_id: str, resource_id: str) -> dict[str, Any]:
    return {
        "principal_id": user_id,
        "principal_type": "user",
        "resource_id": resource_id,
        "resource_type": role["resource_type"],
    }


def _told(kind: str, role: dict[str, Any], request: Request) -> "users.Told":
    def told(before: Item, after: Item) -> Event:
        details = _details(role, after["id"], request.admin.organization_id)
        return Event(kind, role["id"], details, *difference(users.shown(before), users.shown(after)))

    return told


def _told_in_project(kind: str, role: dict[str, Any], request: Request) -> project_users.Told:
    def told(project: Item, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Event:
        details = _details(role, request.ids["user_id"], project["id"])
        return Event(kind, role["id"], details, before, after, project)

    return told


_OF_USER = "/organization/users/{user_id}/roles"
_IN_PROJECT = "/projects/{project_id}/users/{user_id}/roles"

CALLS = (
    Call("users.roles.create", "POST", _OF_USER, OWNER, create),
    Call("users.roles.list", "GET", _OF_USER, READER, list_),
    Call("users.roles.retrieve", "GET", f"{_OF_USER}/{{role_id}}", READER, retrieve),
    Call("users.roles.delete", "DELETE", f"{_OF_USER}/{{role_id}}", OWNER, delete),
    Call("projects.users.roles.create", "POST", _IN_PROJECT, OF_PROJECT, create_in_project),
    Call("projects.users.roles.list", "GET", _IN_PROJECT, READER, list_in_project),
    Call("projects.users.roles.retrieve", "GET", f"{_IN_PROJECT}/{{role_id}}", READER, retrieve_in_project),
    Call(
        "projects.users.roles.delete", "DELETE", f"{_IN_PROJECT}/{{role_id}}", OF_PROJECT, delete_in_project
    ),
)
