"""One good request for every offered call, for tests that go through all of them.

A new resource adds its ids to `ids` and the bodies of its calls to `BODIES`.
"""

import secrets
from dataclasses import dataclass

import httpx2

from app.admin.call import Call
from tests.app.admin.people import People

BODIES: dict[str, dict[str, object]] = {
    "projects.create": {"name": "Made"},
    "projects.update": {"name": "Renamed"},
    "projects.settings.update": {"settings": {"cache_ttl_s": 60}},
    "projects.service_accounts.create": {"name": "made"},
    "projects.service_accounts.update": {"role": "owner"},
    "projects.service_accounts.api_keys.create": {"name": "made"},
    "projects.api_keys.update": {"expires_in_seconds": 600},
    "admin_api_keys.create": {"name": "made"},
}
"""By the call's name in the SDK; calls without a body are not here."""


@dataclass(frozen=True)
class Example:
    """path: below /v1."""

    method: str
    path: str
    body: dict[str, object] | None

    def sent(self, people: People, key: str | None) -> httpx2.Response:
        return people.ask(self.method, self.path, key=key, body=self.body)


def ids(people: People) -> dict[str, str]:
    """Fresh ones of everything that a path can name."""
    api = people.api
    project = api.projects.create(name=f"Secret plan {secrets.token_hex(4)}")
    account = api.projects.service_accounts.create(project.id, name="example")
    return {
        "project_id": project.id,
        "service_account_id": account.id,
        "api_key_id": account.api_key.id,
        "key_id": api.admin_api_keys.create(name="example").id,
    }


def example(call: Call, people: People) -> Example:
    return Example(call.method, call.path.format(**ids(people)), BODIES.get(call.sdk))
