"""A project's API keys, redacted. They are made with service accounts (`service_accounts.py`)."""

from typing import Any, Literal

from app.admin import items, layout, service_accounts
from app.admin.audit import Event, key_deleted
from app.admin.call import OF_PROJECT, Call, Request, deleted, listed
from app.admin.items import READER
from app.admin.last_use import last_used_at
from app.admin.layout import Address, Item
from app.admin.parameters import ExpiresInSeconds, PageParameters, Parameters
from app.admin.service_accounts import Scopes, account_address, expires_at
from app.admin.writes import Delete, Update, Write
from app.errors import invalid_request

KIND = "organization.project.api_key"

Access = Literal["active", "inactive"]


class ListKeys(PageParameters):
    owner_project_access: Literal["active", "inactive", "any"] = "any"


class UpdateKey(Parameters):
    expires_in_seconds: ExpiresInSeconds | None = None
    scopes: Scopes = None


def access(project: Item) -> Access:
    """Whether the owners of a project's keys get in: all of them, until it is archived."""
    return "active" if project["status"] == "active" else "inactive"


def shown(key: Item, project: Item, accounts: dict[Address, Item], used_at: dict[str, int]) -> dict[str, Any]:
    """As OpenAI's `ProjectAPIKey`. accounts: those whose keys are shown. used_at: see `last_use.py`."""
    account = accounts.get(account_address(key)) if "service_account_id" in key else None
    owner = None
    if account is not None:
        owner = service_accounts.shown(account)
        del owner["object"]
    return {
        "object": KIND,
        "id": key["id"],
        "name": key["name"],
        "redacted_value": key["redacted"],
        "created_at": key["created_at"],
        "expires_at": key.get("expires_at"),
        "last_used_at": used_at.get(key["id"]),
        "owner": {"type": "service_account", "service_account": owner},
        "owner_project_access": access(project),
    }


async def list_(request: Request, query: ListKeys) -> dict[str, Any]:
    project = await request.project()
    asked = query.owner_project_access in ("any", access(project))
    page = await request.store.page(
        layout.project_keys(project["id"]),
        after=query.after,
        limit=query.limit,
        keep=lambda _: asked,
    )
    accounts = await request.store.get_all(
        account_address(key) for key in page.items if "service_account_id" in key
    )
    used_at = await last_used_at(request.store, project["organization_id"], page.items)
    return listed(page, lambda key: shown(key, project, accounts, used_at))


async def retrieve(request: Request) -> dict[str, Any]:
    project = await request.project()
    return await _shown_alone(request, await _key(request, project), project)


async def update(request: Request, body: UpdateKey) -> dict[str, Any]:
    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        key = await _key(request, project)
        if key.get("expires_at") is not None and key["expires_at"] <= items.now():
            raise invalid_request(
                f"The key {key['id']!r} has expired. Make another one.",
                param="api_key_id",
                code="key_expired",
            )
        if body.expires_in_seconds is None:
            return await _shown_alone(request, key, project)
        changed = {**key, "expires_at": expires_at(body.expires_in_seconds)}
        told = {"changes_requested": {"expires_in_seconds": body.expires_in_seconds}}
        before, after = ({"expires_at": one.get("expires_at")} for one in (key, changed))
        updated = Event("api_key.updated", key["id"], told, before, after, project)
        await request.commit([Update(key, changed)], [updated])
        return await _shown_alone(request, changed, project)

    return await request.settled(change)


async def delete(request: Request) -> dict[str, Any]:
    async def change() -> str:
        project = await request.project()
        key = await _key(request, project)
        writes: list[Write] = [Delete(key)]
        if "service_account_id" in key and (account := await request.store.get(account_address(key))):
            key_hash = key["pk"].removeprefix("KEY#")
            others = [one for one in account["key_hashes"] if one != key_hash]
            writes.append(Update(account, {**account, "key_hashes": others}))
        await request.commit(writes, [key_deleted(key, project)])
        return str(key["id"])

    return deleted(KIND, await request.settled(change))


async def _key(request: Request, project: Item) -> Item:
    return await request.member(layout.project_keys(project["id"]), "API key", "api_key_id")


async def _shown_alone(request: Request, key: Item, project: Item) -> dict[str, Any]:
    addresses = [account_address(key)] if "service_account_id" in key else []
    accounts = await request.store.get_all(addresses)
    used_at = await last_used_at(request.store, project["organization_id"], [key])
    return shown(key, project, accounts, used_at)


_KEYS = "/organization/projects/{project_id}/api_keys"
_KEY = f"{_KEYS}/{{api_key_id}}"

CALLS = (
    Call("projects.api_keys.list", "GET", _KEYS, READER, list_),
    Call("projects.api_keys.retrieve", "GET", _KEY, READER, retrieve),
    Call("projects.api_keys.update", "POST", _KEY, OF_PROJECT, update),
    Call("projects.api_keys.delete", "DELETE", _KEY, OF_PROJECT, delete),
)
