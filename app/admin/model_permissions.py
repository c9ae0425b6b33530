"""Which models a project may use: an allow list or a deny list in its `settings`.

`settings` is a JSON object in the project's item, of which this changes `model_permissions` alone. Without
any, nothing is denied.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from app.admin.call import Call, Request
from app.admin.holders import changed
from app.admin.items import OWNER, READER
from app.admin.layout import Item
from app.admin.parameters import Parameters

ATTRIBUTE = "settings"
FIELD = "model_permissions"
KIND = "project.model_permissions"
MAX_MODEL_IDS = 1000
NOTHING_DENIED = {"mode": "deny_list", "model_ids": []}


class UpdateModelPermissions(Parameters):
    mode: Literal["allow_list", "deny_list"]
    model_ids: list[Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]] = Field(max_length=MAX_MODEL_IDS)


def shown(item: Item) -> dict[str, Any]:
    """As OpenAI's `ProjectModelPermissions`."""
    permissions = _settings(item).get(FIELD) or NOTHING_DENIED
    return {"object": KIND, "mode": permissions["mode"], "model_ids": list(permissions["model_ids"])}


async def retrieve(request: Request) -> dict[str, Any]:
    return shown(await request.project())


async def update(request: Request, body: UpdateModelPermissions) -> dict[str, Any]:
    chosen = {"mode": body.mode, "model_ids": list(dict.fromkeys(body.model_ids))}
    after = await changed(request, lambda item: _with(item, {**_settings(item), FIELD: chosen}), _told)
    return shown(after.item)


async def delete(request: Request) -> dict[str, Any]:
    """All models are permitted then. To delete what is not there changes nothing and is no error."""

    def edit(item: Item) -> Item:
        settings = _settings(item)
        if FIELD not in settings:
            return item
        return _with(item, {name: value for name, value in settings.items() if name != FIELD})

    await changed(request, edit, _told)
    return {"object": f"{KIND}.deleted", "deleted": True}


def _settings(item: Item) -> dict[str, Any]:
    settings: dict[str, Any] = orjson.loads(item.get(ATTRIBUTE, "{}"))
    return settings


def _with(item: Item, settings: dict[str, Any]) -> Item:
    rest = {name: value for name, value in item.items() if name != ATTRIBUTE}
    return {**rest, ATTRIBUTE: orjson.dumps(settings).decode()} if settings else rest


def _told(item: Item) -> dict[str, Any]:
    return {FIELD: _settings(item).get(FIELD)}


_PERMISSIONS = "/organization/projects/{project_id}/model_permissions"

CALLS = (
    Call("projects.model_permissions.retrieve", "GET", _PERMISSIONS, READER, retrieve),
    Call("projects.model_permissions.update", "POST", _PERMISSIONS, OWNER, update),
    Call("projects.model_permissions.delete", "DELETE", _PERMISSIONS, OWNER, delete),
)
