"""One good request for every offered call, for tests that go through all of them.

A new resource adds its ids to `Ids` and the bodies of its calls to `BODIES`.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from app.admin.call import Call
from tests.app.admin.people import People

BODIES: dict[str, dict[str, object]] = {
    "projects.create": {"name": "Made"},
    "projects.update": {"name": "Renamed"},
    "projects.settings.update": {"settings": {"cache_ttl_s": 60}},
    "projects.users.create": {"role": "member", "user_id": "{new_user_id}"},
    "projects.users.update": {"role": "member"},
    "projects.users.roles.create": {"role_id": "role-project-member"},
    "projects.service_accounts.create": {"name": "made"},
    "projects.service_accounts.update": {"role": "owner"},
    "projects.service_accounts.api_keys.create": {"name": "made"},
    "projects.api_keys.update": {"expires_in_seconds": 600},
    "users.update": {"role": "reader"},
    "users.roles.create": {"role_id": "role-organization-reader"},
    "invites.create": {"email": "invited@example.com", "role": "reader"},
    "admin_api_keys.create": {"name": "made"},
}
"""By the call's name in the SDK; calls without a body are not here. {name}s are ids, as in paths."""


@dataclass(frozen=True)
class Example:
    """path: below /v1. project_id: the one that the path names."""

    method: str
    path: str
    body: dict[str, object] | None
    project_id: str | None

    def sent(self, people: People, key: str | None) -> httpx2.Response:
        return people.ask(self.method, self.path, key=key, body=self.body)


class Ids(dict[str, str]):
    """Fresh ones of everything that a path or a body can name, made when they are asked for."""

    def __init__(self, people: People, call: Call) -> None:
        super().__init__()
        self._people = people
        self._within = "project" if "{project_id}" in call.path else "organization"

    def __missing__(self, name: str) -> str:
        makers: dict[str, Callable[[], Any]] = {
            "project_id": lambda: self._api.projects.create(name=f"Secret plan {secrets.token_hex(4)}").id,
            "service_account_id": lambda: self._account().id,
            "api_key_id": lambda: self._account().api_key.id,
            # An owner of both, so that every role can be taken away.
            "user_id": lambda: self._user(**{self["project_id"]: "owner"}),
            "new_user_id": self._user,
            "role_id": lambda: f"role-{self._within}-owner",
            "invite_id": lambda: self._api.invites.create(email="invited@example.com", role="reader").id,
            "key_id": lambda: self._api.admin_api_keys.create(name="example").id,
        }
        self[name] = makers[name]()
        return self[name]

    @property
    def _api(self) -> Any:
        return self._people.api

    def _account(self) -> Any:
        return self._api.projects.service_accounts.create(self["project_id"], name="example")

    def _user(self, **projects: Any) -> str:
        user, _ = self._people.add("owner", f"{secrets.token_hex(4)}@example.com", **projects)
        return str(user["id"])


def example(call: Call, people: People) -> Example:
    ids = Ids(people, call)
    path = call.path.format_map(ids)
    body = BODIES.get(call.sdk)
    if body is not None:
        body = {
            name: value.format_map(ids) if isinstance(value, str) else value for name, value in body.items()
        }
    return Example(call.method, path, body, ids.get("project_id") if "{project_id}" in call.path else None)
