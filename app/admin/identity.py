"""Who administers: admin key to user with role, by the key's hash; each remembered for seconds.

So a deleted key, a user who left and a changed role take effect everywhere within five; changes ask the table
again (`call.py`), so that nobody makes one any more from the moment they may not.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from app import errors
from app.admin import refusals
from app.admin.items import ProjectRole, Role
from app.admin.layout import Item, admin_key_address, user_address
from app.admin.store import Store
from app.identity import bearer_token
from app.keys import hash_key, looks_like_admin_key, looks_like_key
from app.remembered import Remembered


@dataclass(frozen=True, slots=True)
class Admin:
    """A user of an organization, with the key they came with. projects: their role in each, by its id."""

    organization_id: str
    user_id: str
    email: str | None
    role: Role
    projects: Mapping[str, ProjectRole]
    key_id: str
    key_hash: str = field(repr=False)


class AdminIdentity:
    """Resolves admin keys."""

    def __init__(self, store: Store, pepper: str) -> None:
        self._pepper = pepper

        async def key(key_hash: str) -> Item | None:
            return await store.get(admin_key_address(key_hash))

        async def user(name: str) -> Item | None:
            return await store.get(user_address(*name.split(" ")))

        self._keys: Remembered[Item] = Remembered(key)
        self._users: Remembered[Item] = Remembered(user)

    async def identify(self, authorization: str | None, organization: str | None) -> Admin:
        """Raises ApiError (401, 403) and TableUnavailableError."""
        text = bearer_token(authorization)
        if text is None:
            raise refusals.no_admin_key()
        if looks_like_key(text):
            raise refusals.not_an_admin_key()
        if not looks_like_admin_key(text):
            raise refusals.unknown_admin_key()
        key_hash = hash_key(self._pepper, text)
        key = await self._keys.get(key_hash)
        if key is None or time.time() >= (key.get("expires_at") or float("inf")):
            raise refusals.unknown_admin_key()
        user = await self._users.get(f"{key['organization_id']} {key['user_id']}")
        if user is None:
            raise refusals.unknown_admin_key()
        if organization and organization != key["organization_id"]:
            raise errors.mismatched_scope("OpenAI-Organization", "mismatched_organization")
        return Admin(
            organization_id=key["organization_id"],
            user_id=user["id"],
            email=user.get("email"),
            # Anything but the one word that lets someone change things lets them look.
            role="owner" if user["role"] == "owner" else "reader",
            projects={
                project_id: "owner" if membership["role"] == "owner" else "member"
                for project_id, membership in user.get("projects", {}).items()
            },
            key_id=key["id"],
            key_hash=key_hash,
        )
