"""New items of an organization: what each resource is when it is made (`layout.py` says where it stands)."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from app.admin.layout import (
    Item,
    admin_key_address,
    email_address,
    invite_address,
    organization_address,
    plain,
    project_address,
    service_account_address,
    user_address,
)
from app.ids import new_id
from app.keys import ADMIN_KEY_PREFIX, INVITE_PREFIX, hash_key, key_item, new_key, random_key, redacted

Role = Literal["owner", "reader"]
OWNER: Role = "owner"
READER: Role = "reader"

ProjectRole = Literal["owner", "member"]
PROJECT_OWNER: ProjectRole = "owner"
PROJECT_MEMBER: ProjectRole = "member"


def now() -> int:
    """Unix seconds."""
    return int(time.time())


def new_organization(organization_id: str, name: str) -> Item:
    address = organization_address(organization_id)
    return {
        "pk": address.pk,
        "sk": address.sk,
        "id": organization_id,
        "name": name,
        "created_at": now(),
    }


def new_user(
    organization_id: str,
    *,
    name: str,
    email: str | None,
    role: Role,
    user_id: str | None = None,
    projects: Mapping[str, ProjectRole] | None = None,
) -> Item:
    """A user of an organization; who has a key of theirs acts in their roles.

    projects: the role in each project they are in, by its id.
    """
    made_id = user_id or new_id("user-")
    address = user_address(organization_id, made_id)
    return {
        "pk": address.pk,
        "sk": address.sk,
        "id": made_id,
        "organization_id": organization_id,
        "name": name,
        "email": email,
        "role": role,
        "projects": {project_id: new_membership(one) for project_id, one in (projects or {}).items()},
        "added_at": now(),
    }


def new_membership(role: ProjectRole) -> dict[str, Any]:
    """Of a user's `projects`."""
    return {"role": role, "added_at": now()}


def new_email(user: Mapping[str, Any]) -> Item:
    """What keeps others from having this user's address."""
    address = email_address(user["organization_id"], user["email"])
    return {"pk": address.pk, "sk": address.sk, "user_id": user["id"]}


def new_invite(
    pepper: str,
    organization_id: str,
    *,
    email: str,
    role: Role,
    projects: Mapping[str, ProjectRole],
    for_s: int,
) -> tuple[str, Item]:
    """An invite's token, which is to be shown once and forgotten, and its item.

    `valid_until` is no TTL: an invite that has expired is listed as such until somebody deletes it.
    """
    token = random_key(INVITE_PREFIX)
    address = invite_address(hash_key(pepper, token))
    invite_id = new_id("invite-")
    return token, {
        "pk": address.pk,
        "sk": address.sk,
        "gsi1pk": f"ORG#{organization_id}",
        "gsi1sk": f"INVITE#{invite_id}",
        "id": invite_id,
        "organization_id": organization_id,
        "email": email,
        "role": role,
        "projects": [{"id": project_id, "role": one} for project_id, one in projects.items()],
        "created_at": now(),
        "valid_until": now() + for_s,
    }


def new_admin_key(
    pepper: str, user: Mapping[str, Any], *, name: str, expires_at: int | None = None, key: str | None = None
) -> tuple[str, Item]:
    """An admin key's text, which is to be shown once and forgotten, and its item. key: one that exists."""
    text = key or random_key(ADMIN_KEY_PREFIX)
    address = admin_key_address(hash_key(pepper, text))
    key_id = new_id("key_")
    return text, {
        "pk": address.pk,
        "sk": address.sk,
        "gsi1pk": f"ORG#{user['organization_id']}",
        "gsi1sk": f"ADMIN_KEY#{key_id}",
        "id": key_id,
        "name": name,
        "organization_id": user["organization_id"],
        "user_id": user["id"],
        "created_at": now(),
        "redacted": redacted(text),
        "expires_at": expires_at,
    }


def new_project(organization_id: str, name: str, project_id: str | None = None) -> Item:
    made_id = project_id or new_id("proj_")
    address = project_address(made_id)
    return {
        "pk": address.pk,
        "sk": address.sk,
        "gsi1pk": f"ORG#{organization_id}",
        "gsi1sk": f"PROJECT#{made_id}",
        "id": made_id,
        "organization_id": organization_id,
        "name": name,
        "status": "active",
        "created_at": now(),
    }


def new_service_account(project: Mapping[str, Any], name: str, role: Literal["member", "none"]) -> Item:
    """An account without keys."""
    account_id = new_id("svc_acct_")
    address = service_account_address(project["id"], account_id)
    return {
        "pk": address.pk,
        "sk": address.sk,
        "id": account_id,
        "organization_id": project["organization_id"],
        "project_id": project["id"],
        "name": name,
        "role": role,
        "created_at": now(),
        "key_hashes": [],
    }


def new_project_key(
    pepper: str,
    account: Mapping[str, Any],
    *,
    name: str,
    expires_at: int | None = None,
    requests_per_minute: int | None = None,
) -> tuple[str, Item, Item]:
    """A project key's text, which is to be shown once and forgotten, its item, and its account's with it."""
    text, record = new_key(
        pepper,
        organization_id=account["organization_id"],
        project_id=account["project_id"],
        name=name,
        requests_per_minute=requests_per_minute,
        expires_at=expires_at,
        service_account_id=account["id"],
    )
    return text, plain(key_item(record)), {**account, "key_hashes": [*account["key_hashes"], record.hash]}
