"""Which projects somebody sees, and what they may do in each.

Owners of the organization see and may do everything. Others see the projects they are in and nothing of the
rest: it is not there for them. In a project, members look and owners change what belongs to it.
"""

from collections.abc import Mapping

from app.admin import refusals
from app.admin.call import OF_PROJECT, Call
from app.admin.identity import Admin
from app.admin.items import OWNER, PROJECT_OWNER


def visible_projects(admin: Admin) -> frozenset[str] | None:
    """The ids of the projects that somebody sees; None for all."""
    return None if admin.role == OWNER else frozenset(admin.projects)


def sees(admin: Admin, project_id: str | None) -> bool:
    """Whether somebody sees a project. What belongs to none (None) is for owners of the organization."""
    return admin.role == OWNER or project_id in admin.projects


def require(call: Call, admin: Admin, ids: Mapping[str, str]) -> None:
    """Raises ApiError: 403 for who may not make the call, 404 for who does not see the project it names."""
    if admin.role == OWNER:
        return
    if call.role == OWNER:
        raise refusals.owners_only(call.sdk)
    if "project_id" not in ids:
        return
    if not sees(admin, ids["project_id"]):
        raise refusals.missing("project", ids["project_id"], "project_id")
    if call.role == OF_PROJECT and admin.projects[ids["project_id"]] != PROJECT_OWNER:
        raise refusals.project_owners_only(call.sdk)
