"""What a project has chosen beyond what OpenAI's API knows: our own call beside OpenAI's.

The settings are those of `app/project_settings.py` but for what a call of OpenAI's sets: model permissions.
"""

import json
from typing import Any

from app import errors
from app.admin.audit import Event, difference
from app.admin.call import Call, Request
from app.admin.items import OWNER, READER
from app.admin.layout import Item, attributes, plain
from app.admin.parameters import Parameters
from app.admin.writes import Update
from app.project_settings import (
    ATTRIBUTE,
    ProjectSettings,
    ProjectSettingsError,
    check_settings,
    parse_settings,
    settings_attribute,
)
from app.table import TableUnavailableError

PERMISSIONS = "model_permissions"


class UpdateSettings(Parameters):
    """settings: those to change; one that is null goes back to what the stack has."""

    settings: dict[str, Any]


def shown(project: Item, settings: ProjectSettings) -> dict[str, Any]:
    return {
        "object": "organization.project.settings",
        "project_id": project["id"],
        "settings": settings.model_dump(mode="json", exclude={PERMISSIONS}),
    }


async def retrieve(request: Request) -> dict[str, Any]:
    project = await request.project()
    return shown(project, _chosen(project))


async def update(request: Request, body: UpdateSettings) -> dict[str, Any]:
    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        before = _chosen(project)
        after = _changed(before, body.settings)
        changed = {**project, ATTRIBUTE: plain(settings_attribute(after)).get(ATTRIBUTE)}
        if after != before:
            was, became = ({"settings": one} for one in difference(_told(before), _told(after)))
            updated = Event(
                "project.updated", project["id"], {"changes_requested": {}}, was, became, project=project
            )
            await request.commit([Update(project, changed)], [updated])
        return shown(project, after)

    return await request.settled(change)


def _told(settings: ProjectSettings) -> Item:
    """As the log tells them: fractions are texts, because the table takes none lest money be one."""
    told: Item = json.loads(settings.model_dump_json(exclude={PERMISSIONS}), parse_float=str)
    return told


def _chosen(project: Item) -> ProjectSettings:
    try:
        return parse_settings(attributes(project))
    except ValueError:
        raise TableUnavailableError("the project's settings are damaged") from None


def _changed(settings: ProjectSettings, asked: dict[str, Any]) -> ProjectSettings:
    """Raises ApiError with every problem, by the first one's path."""
    problems = []
    if PERMISSIONS in asked:
        problems.append(
            f"settings.{PERMISSIONS}: OpenAI's API has a call for it. Use projects.model_permissions.update."
        )
    kept = {**settings.model_dump(mode="json", exclude_defaults=True), **asked}
    wanted = {name: value for name, value in kept.items() if value is not None}
    wanted.pop(PERMISSIONS, None)
    try:
        checked = check_settings(wanted)
    except ProjectSettingsError as error:
        problems += error.problems
    if problems:
        param = problems[0].partition(":")[0].partition("=")[0]
        raise errors.invalid_request("\n".join(problems), param=param, code="invalid_value")
    return checked.model_copy(update={PERMISSIONS: settings.model_permissions})


_SETTINGS = "/organization/projects/{project_id}/settings"

CALLS = (
    Call("projects.settings.retrieve", "GET", _SETTINGS, READER, retrieve, ours=True),
    Call("projects.settings.update", "POST", _SETTINGS, OWNER, update, ours=True),
)
