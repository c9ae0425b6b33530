"""Service accounts: programs that are members of a project. Making one is how a project gets a key."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from app.admin import items, layout
from app.admin.audit import Event, difference, key_created, key_deleted
from app.admin.call import OF_PROJECT, Call, Request, deleted, listed
from app.admin.items import READER
from app.admin.layout import Address, Item, key_address, project_address
from app.admin.parameters import ExpiresInSeconds, Name, PageParameters, Parameters
from app.admin.writes import Check, Create, Delete, Forget, Update, Write
from app.errors import invalid_request

KIND = "organization.project.service_account"
MAX_KEYS = 20
"""Of one account, so that one transaction can delete them with it."""

_ACTIVE = {"status": "active"}


def _all_scopes(value: list[str] | None) -> None:
    if value:
        raise ValueError("keys of this gateway have all scopes of their project; leave it out")


Scopes = Annotated[list[str] | None, AfterValidator(_all_scopes)]


class CreateServiceAccount(Parameters):
    name: Name
    create_service_account_only: bool | None = None
    expires_in_seconds: ExpiresInSeconds | None = None


class UpdateServiceAccount(Parameters):
    name: Name | None = None
    role: Literal["member", "owner"] | None = None


class CreateKey(Parameters):
    name: Name | None = None
    expires_in_seconds: ExpiresInSeconds | None = None
    scopes: Scopes = None


def shown(account: Item) -> dict[str, Any]:
    """As OpenAI's `ProjectServiceAccount`."""
    return {
        "object": KIND,
        "id": account["id"],
        "name": account["name"],
        "role": account["role"],
        "created_at": account["created_at"],
    }


def _shown_key(key: Item, text: str) -> dict[str, Any]:
    return {
        "object": f"{KIND}.api_key",
        "id": key["id"],
        "name": key["name"],
        "created_at": key["created_at"],
        "expires_at": key.get("expires_at"),
        "value": text,
    }


async def create(request: Request, body: CreateServiceAccount) -> dict[str, Any]:
    project = await request.project(to_change=True)
    alone = body.create_service_account_only or False
    if alone and body.expires_in_seconds is not None:
        raise invalid_request(
            "Invalid value for 'expires_in_seconds': with create_service_account_only there is no key that "
            "could expire.",
            param="expires_in_seconds",
            code="invalid_value",
        )
    account = items.new_service_account(project, body.name, "none" if alone else "member")
    told = {"data": {"role": account["role"]}}
    events = [
        Event("service_account.created", account["id"], told, after={"name": body.name}, project=project)
    ]
    writes: list[Write] = [Check(project_address(project["id"]), _ACTIVE)]
    made = None
    if not alone:
        text, key, account = items.new_project_key(
            request.pepper, account, name=body.name, expires_at=expires_at(body.expires_in_seconds)
        )
        made = _shown_key(key, text)
        writes.append(Create(key))
        events.append(key_created(key, project))

    async def change() -> None:
        await request.project(to_change=True)
        await request.commit([*writes, Create(account)], events)

    await request.settled(change)
    return {**shown(account), "api_key": made}


async def list_(request: Request, query: PageParameters) -> dict[str, Any]:
    project = await request.project()
    page = await request.store.page(
        layout.service_accounts(project["id"]), after=query.after, limit=query.limit
    )
    return listed(page, shown)


async def retrieve(request: Request) -> dict[str, Any]:
    return shown(await _account(request, await request.project()))


async def update(request: Request, body: UpdateServiceAccount) -> dict[str, Any]:
    async def change() -> Item:
        project = await request.project(to_change=True)
        account = await _account(request, project)
        changed = {
            **account,
            "name": body.name or account["name"],
            "role": body.role or account["role"],
        }
        if changed != account:
            before, after = difference(shown(account), shown(changed))
            told = {"changes_requested": {"role": body.role} if body.role else {}}
            updated = Event("service_account.updated", account["id"], told, before, after, project)
            await request.commit([Update(account, changed)], [updated])
        return changed

    return shown(await request.settled(change))


async def delete(request: Request) -> dict[str, Any]:
    """Its keys go with it."""

    async def change() -> str:
        project = await request.project()
        account = await _account(request, project)
        addresses = [key_address(key_hash) for key_hash in account["key_hashes"]]
        keys = await request.store.get_all(addresses)
        events = [key_deleted(key, project) for key in keys.values()]
        events.append(Event("service_account.deleted", account["id"], None, shown(account), project=project))
        await request.commit([Delete(account), *(Forget(address) for address in addresses)], events)
        return str(account["id"])

    return deleted(KIND, await request.settled(change))


async def create_key(request: Request, body: CreateKey) -> dict[str, Any]:
    async def change() -> dict[str, Any]:
        project = await request.project(to_change=True)
        account = await _account(request, project)
        if account["role"] == "none":
            raise invalid_request(
                f"The service account {account['id']!r} has no role in the project, so its key would be good "
                "for nothing. Give it one with service_accounts.update.",
                param="service_account_id",
                code="service_account_without_role",
            )
        known = account["key_hashes"]
        if len(known) >= MAX_KEYS:
            # DynamoDB removes expired keys by itself, which the account does not notice.
            there = await request.store.get_all(key_address(key_hash) for key_hash in known)
            known = [key_hash for key_hash in known if key_address(key_hash) in there]
        if len(known) >= MAX_KEYS:
            raise invalid_request(
                f"The service account {account['id']!r} has {MAX_KEYS} keys, the most there can be. Delete "
                "one with projects.api_keys.delete.",
                param="service_account_id",
                code="too_many_keys",
            )
        text, key, changed = items.new_project_key(
            request.pepper,
            {**account, "key_hashes": known},
            name=body.name or account["name"],
            expires_at=expires_at(body.expires_in_seconds),
        )
        active = Check(project_address(project["id"]), _ACTIVE)
        await request.commit([active, Update(account, changed), Create(key)], [key_created(key, project)])
        return _shown_key(key, text)

    return await request.settled(change)


def expires_at(in_seconds: int | None) -> int | None:
    """Unix seconds of the end of what lasts from now on, None for what does not end."""
    return None if in_seconds is None else items.now() + in_seconds


def account_address(key: Item) -> Address:
    """Of the account whose key it is."""
    return layout.service_account_address(key["project_id"], key["service_account_id"])


async def _account(request: Request, project: Item) -> Item:
    accounts = layout.service_accounts(project["id"])
    return await request.member(accounts, "service account", "service_account_id")


_ACCOUNTS = "/organization/projects/{project_id}/service_accounts"
_ACCOUNT = f"{_ACCOUNTS}/{{service_account_id}}"
_NAME = "projects.service_accounts"

CALLS = (
    Call(f"{_NAME}.create", "POST", _ACCOUNTS, OF_PROJECT, create),
    Call(f"{_NAME}.list", "GET", _ACCOUNTS, READER, list_),
    Call(f"{_NAME}.retrieve", "GET", _ACCOUNT, READER, retrieve),
    Call(f"{_NAME}.update", "POST", _ACCOUNT, OF_PROJECT, update),
    Call(f"{_NAME}.delete", "DELETE", _ACCOUNT, OF_PROJECT, delete),
    Call(f"{_NAME}.api_keys.create", "POST", f"{_ACCOUNT}/api_keys", OF_PROJECT, create_key),
)
