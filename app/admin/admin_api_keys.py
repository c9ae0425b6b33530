"""Admin keys: each is a user's, and lets its holder do what that user may."""

from typing import Any, Literal

from app.admin import items, layout
from app.admin.audit import key_created, key_deleted
from app.admin.call import Call, Request, deleted, listed
from app.admin.items import OWNER, READER
from app.admin.layout import Address, Item, user_address
from app.admin.parameters import ExpiresInSeconds, Name, PageParameters, Parameters
from app.admin.service_accounts import expires_at
from app.admin.writes import Create, Delete

KIND = "organization.admin_api_key"


class CreateAdminKey(Parameters):
    name: Name
    expires_in_seconds: ExpiresInSeconds | None = None


class ListAdminKeys(PageParameters):
    order: Literal["asc", "desc"] = "asc"


def shown(key: Item, users: dict[Address, Item]) -> dict[str, Any]:
    """As OpenAI's `AdminAPIKey`. users: those whose keys are shown; one who is gone has no role any more."""
    user = users.get(_owner_address(key), {})
    return {
        "object": KIND,
        "id": key["id"],
        "name": key["name"],
        "redacted_value": key["redacted"],
        "created_at": key["created_at"],
        "expires_at": key.get("expires_at"),
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": key["user_id"],
            "name": user.get("name"),
            "role": user.get("role"),
            "created_at": user.get("added_at"),
        },
    }


async def create(request: Request, body: CreateAdminKey) -> dict[str, Any]:
    """A further key of whoever asks."""
    users = await request.store.get_all([user_address(request.admin.organization_id, request.admin.user_id)])
    owner = {"organization_id": request.admin.organization_id, "id": request.admin.user_id}
    text, key = items.new_admin_key(
        request.pepper, owner, name=body.name, expires_at=expires_at(body.expires_in_seconds)
    )

    async def change() -> None:
        await request.commit([Create(key)], [key_created(key)])

    await request.settled(change)
    return {**shown(key, users), "value": text}


async def list_(request: Request, query: ListAdminKeys) -> dict[str, Any]:
    page = await request.store.page(
        layout.admin_keys(request.admin.organization_id),
        after=query.after,
        limit=query.limit,
        descending=query.order == "desc",
    )
    users = await request.store.get_all(map(_owner_address, page.items))
    return listed(page, lambda key: shown(key, users))


async def retrieve(request: Request) -> dict[str, Any]:
    key = await _key(request)
    return shown(key, await request.store.get_all([_owner_address(key)]))


async def delete(request: Request) -> dict[str, Any]:
    """One's own too: who has no other is out with it."""

    async def change() -> str:
        key = await _key(request)
        await request.commit([Delete(key)], [key_deleted(key)])
        return str(key["id"])

    return deleted(KIND, await request.settled(change))


def _owner_address(key: Item) -> Address:
    return user_address(key["organization_id"], key["user_id"])


async def _key(request: Request) -> Item:
    return await request.member(layout.admin_keys(request.admin.organization_id), "admin key", "key_id")


_KEYS = "/organization/admin_api_keys"
_KEY = "/organization/admin_api_keys/{key_id}"

CALLS = (
    Call("admin_api_keys.create", "POST", _KEYS, OWNER, create),
    Call("admin_api_keys.list", "GET", _KEYS, READER, list_),
    Call("admin_api_keys.retrieve", "GET", _KEY, READER, retrieve),
    Call("admin_api_keys.delete", "DELETE", _KEY, OWNER, delete),
)
