"""Roles, all of them predefined: owner and reader of an organization, owner and member of a project."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from app.admin import refusals
from app.admin.call import Call, Request
from app.admin.items import OWNER, PROJECT_MEMBER, READER
from app.admin.parameters import Cursor, Parameters

MAX_LISTED = 1000


class ListRoles(Parameters):
    after: Cursor | None = None
    limit: int = Field(default=MAX_LISTED, ge=1, le=MAX_LISTED)
    order: Literal["asc", "desc"] = "asc"


def _role(role_id: str, name: str, description: str, resource: str, *permissions: str) -> dict[str, Any]:
    return {
        "object": "role",
        "id": role_id,
        "name": name,
        "description": description,
        "permissions": list(permissions),
        "predefined_role": True,
        "resource_type": f"api.{resource}",
    }


_LOOK = ("api.organization.read",)
_PROJECT_LOOK = ("api.project.read",)

ORGANIZATION = (
    _role(
        "role-organization-owner",
        OWNER,
        "Sees and changes everything of the organization",
        "organization",
        *_LOOK,
        "api.organization.write",
        *_PROJECT_LOOK,
        "api.project.write",
    ),
    _role(
        "role-organization-reader",
        READER,
        "Sees the organization's people and the projects they are in",
        "organization",
        *_LOOK,
    ),
)
"""As OpenAI's `Role`, in the order of their ids; those of projects alike."""

PROJECT = (
    _role("role-project-member", PROJECT_MEMBER, "Sees everything of the project", "project", *_PROJECT_LOOK),
    _role(
        "role-project-owner",
        OWNER,
        "Sees everything of the project, changes its name, members, service accounts and keys",
        "project",
        *_PROJECT_LOOK,
        "api.project.write",
    ),
)

Roles = Iterable[Mapping[str, Any]]


def named(roles: Roles, role_id: str) -> dict[str, Any]:
    """The role with this id. Raises ApiError."""
    for role in roles:
        if role["id"] == role_id:
            return dict(role)
    raise refusals.missing("role", role_id, "role_id")


def of_name(roles: Roles, name: str) -> dict[str, Any]:
    """The role that users have under this name. Raises StopIteration."""
    return dict(next(role for role in roles if role["name"] == name))


def roles_listed(roles: Roles, query: ListRoles) -> dict[str, Any]:
    """A page as OpenAI's lists of roles are."""
    ordered = sorted(roles, key=lambda role: str(role["id"]), reverse=query.order == "desc")
    if query.after is not None:
        after = query.after
        ordered = [role for role in ordered if (role["id"] < after) is (query.order == "desc")]
        ordered = [role for role in ordered if role["id"] != after]
    page = ordered[: query.limit]
    more = len(ordered) > len(page)
    return {"object": "list", "data": page, "has_more": more, "next": page[-1]["id"] if more else None}


async def list_(_: Request, query: ListRoles) -> dict[str, Any]:
    return roles_listed(ORGANIZATION, query)


async def retrieve(request: Request) -> dict[str, Any]:
    return named(ORGANIZATION, request.ids["role_id"])


async def list_of_project(request: Request, query: ListRoles) -> dict[str, Any]:
    await request.project()
    return roles_listed(PROJECT, query)


async def retrieve_of_project(request: Request) -> dict[str, Any]:
    await request.project()
    return named(PROJECT, request.ids["role_id"])


_ROLES = "/organization/roles"
_OF_PROJECT = "/projects/{project_id}/roles"

CALLS = (
    Call("roles.list", "GET", _ROLES, READER, list_),
    Call("roles.retrieve", "GET", f"{_ROLES}/{{role_id}}", READER, retrieve),
    Call("projects.roles.list", "GET", _OF_PROJECT, READER, list_of_project),
    Call("projects.roles.retrieve", "GET", f"{_OF_PROJECT}/{{role_id}}", READER, retrieve_of_project),
)
