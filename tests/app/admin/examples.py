"""One good request for every offered call, for tests that go through all of them.

A new resource adds its ids to `Ids` and the bodies of its calls to `BODIES`.
"""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from app.admin.call import Call
from tests.app.admin.people import People

SPENDING: dict[str, Any] = {"currency": "USD", "interval": "month"}
_amounts = itertools.count(1000, 10)

ALERT: dict[str, Any] = {
    "currency": "USD",
    "interval": "month",
    "threshold_amount": 500,
    "notification_channel": {"type": "email", "recipients": ["owner@example.com"]},
}

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
    "projects.rate_limits.update_rate_limit": {"max_requests_per_1_minute": 60},
    "projects.model_permissions.update": {"mode": "deny_list", "model_ids": ["gpt-5"]},
    "projects.spend_limit.update": {"currency": "USD", "interval": "month", "threshold_amount": 700},
    "projects.spend_alerts.create": ALERT,
    "projects.spend_alerts.update": {**ALERT, "threshold_amount": 900},
    "projects.data_retention.update": {"retention_type": "zero_data_retention"},
    "spend_alerts.create": ALERT,
    "spend_alerts.update": {**ALERT, "threshold_amount": 900},
}
"""By the call's name in the SDK; calls without a body are not here. {name}s are ids, as in paths."""

QUERIES = {
    name: {"start_time": "1700000000"}
    for name in ("usage.completions", "usage.costs", "usage.embeddings", "usage.moderations")
}
"""The same of those that need parameters."""


@dataclass(frozen=True)
class Example:
    """path: below /v1. project_id: the one that the path names."""

    method: str
    path: str
    body: dict[str, object] | None
    project_id: str | None
    query: dict[str, str]

    def sent(self, people: People, key: str | None) -> httpx2.Response:
        return people.ask(self.method, self.path, key=key, body=self.body, **self.query)


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
            "rate_limit_id": lambda: "rl-gpt-5-mini",
            "alert_id": lambda: self._alert().id,
        }
        self[name] = makers[name]()
        return self[name]

    @property
    def _api(self) -> Any:
        return self._people.api

    def _account(self) -> Any:
        return self._api.projects.service_accounts.create(self["project_id"], name="example")

    def _alert(self) -> Any:
        if self._within == "organization":
            return self._api.spend_alerts.create(**ALERT)
        return self._api.projects.spend_alerts.create(self["project_id"], **ALERT)

    def _user(self, **projects: Any) -> str:
        user, _ = self._people.add("owner", f"{secrets.token_hex(4)}@example.com", **projects)
        return str(user["id"])


def example(call: Call, people: People) -> Example:
    ids = Ids(people, call)
    path = call.path.format_map(ids)
    body = _prepared(call, people, ids) or BODIES.get(call.sdk)
    if body is not None:
        body = {
            name: value.format_map(ids) if isinstance(value, str) else value for name, value in body.items()
        }
    project_id = ids.get("project_id") if "{project_id}" in call.path else None
    return Example(call.method, path, body, project_id, QUERIES.get(call.sdk, {}))


def _prepared(call: Call, people: People, ids: Ids) -> dict[str, Any] | None:
    """Makes what the call changes or takes away; its body, where that depends on what there is."""
    api = people.api
    if call.sdk.startswith("projects.spend_limit"):
        api.projects.spend_limit.update(ids["project_id"], **SPENDING, threshold_amount=500)
    elif call.sdk.startswith("spend_limit"):
        # Some other amount than the last example's, so that each changes something.
        limit = api.spend_limit.update(**SPENDING, threshold_amount=next(_amounts))
        return {**SPENDING, "threshold_amount": limit.threshold_amount + 1} if call.method == "POST" else None
    elif call.sdk == "projects.model_permissions.delete":
        api.projects.model_permissions.update(ids["project_id"], mode="allow_list", model_ids=["gpt-5-mini"])
    elif call.sdk == "data_retention.update":
        known = api.data_retention.retrieve().type
        others = {"zero_data_retention", "modified_abuse_monitoring"} - {known}
        return {"retention_type": others.pop()}
    return None
