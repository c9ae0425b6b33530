"""Projects: what keys, limits and budgets belong to. An archived one keeps its records and nothing else."""

from typing import Any

from app.admin import items, layout
from app.admin.audit import Event, difference
from app.admin.call import OF_PROJECT, Call, Request, listed
from app.admin.items import OWNER, READER
from app.admin.layout import Item
from app.admin.membership import sees
from app.admin.parameters import Name, NotOffered, PageParameters, Parameters
from app.admin.writes import Create, Update


class CreateProject(Parameters):
    name: Name
    external_key_id: NotOffered = None
    geography: NotOffered = None
    residency: NotOffered = None


class UpdateProject(Parameters):
    name: Name | None = None
    external_key_id: NotOffered = None
    geography: NotOffered = None


class ListProjects(PageParameters):
    include_archived: bool = False


def shown(project: Item) -> dict[str, Any]:
    """As OpenAI's `Project`."""
    return {
        "object": "organization.project",
        "id": project["id"],
        "name": project["name"],
        "created_at": project["created_at"],
        "archived_at": project.get("archived_at"),
        "status": project["status"],
    }


async def create(request: Request, body: CreateProject) -> dict[str, Any]:
    project = items.new_project(request.admin.organization_id, body.name)
    told = {"data": {"name": body.name, "title": body.name}}
    created = Event("project.created", project["id"], told, after={"name": body.name}, project=project)

    async def change() -> None:
        await request.commit([Create(project)], [created])

    await request.settled(change)
    return shown(project)


async def list_(request: Request, query: ListProjects) -> dict[str, Any]:
    page = await request.store.page(
        layout.projects(request.admin.organization_id),
        after=query.after,
        limit=query.limit,
        keep=lambda project: (
            (query.include_archived or project["status"] == "active") and sees(request.admin, project["id"])
        ),
    )
    return listed(page, shown)


async def retrieve(request: Request) -> dict[str, Any]:
    return shown(await request.project())


async def update(request: Request, body: UpdateProject) -> dict[str, Any]:
    async def change() -> Item:
        project = await request.project(to_change=True)
        renamed = {**project, "name": body.name or project["name"]}
        if renamed != project:
            before, after = difference(shown(project), shown(renamed))
            told = {"changes_requested": {"title": body.name}}
            updated = Event("project.updated", project["id"], told, before, after, project=renamed)
            await request.commit([Update(project, renamed)], [updated])
        return renamed

    return shown(await request.settled(change))


async def archive(request: Request) -> dict[str, Any]:
    """Its keys let nobody in any more. To archive it once more changes nothing and is no error."""

    async def change() -> Item:
        project = await request.project()
        if project["status"] != "active":
            return project
        ended = {**project, "status": "archived", "archived_at": items.now()}
        before, after = difference(shown(project), shown(ended))
        archived = Event("project.archived", project["id"], None, before, after, project=project)
        await request.commit([Update(project, ended)], [archived])
        return ended

    return shown(await request.settled(change))


_PROJECTS = "/organization/projects"
_PROJECT = "/organization/projects/{project_id}"

CALLS = (
    Call("projects.create", "POST", _PROJECTS, OWNER, create),
    Call("projects.list", "GET", _PROJECTS, READER, list_),
    Call("projects.retrieve", "GET", _PROJECT, READER, retrieve),
    Call("projects.update", "POST", _PROJECT, OF_PROJECT, update),
    Call("projects.archive", "POST", f"{_PROJECT}/archive", OWNER, archive),
)
