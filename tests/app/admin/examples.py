"""One good request for every offered call, for tests that go through all of them.

A new resource adds its ids to `ids` and the bodies of its calls to `BODIES`.
"""

import itertools
import secrets
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
    "projects.service_accounts.create": {"name": "made"},
    "projects.service_accounts.update": {"role": "owner"},
    "projects.service_accounts.api_keys.create": {"name": "made"},
    "projects.api_keys.update": {"expires_in_seconds": 600},
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
"""By the call's name in the SDK; calls without a body are not here."""

QUERIES = {
    name: {"start_time": "1700000000"}
    for name in ("usage.completions", "usage.costs", "usage.embeddings", "usage.moderations")
}
"""The same of those that need parameters."""


@dataclass(frozen=True)
class Example:
    """path: below /v1."""

    method: str
    path: str
    body: dict[str, object] | None
    query: dict[str, str]

    def sent(self, people: People, key: str | None) -> httpx2.Response:
        return people.ask(self.method, self.path, key=key, body=self.body, **self.query)


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
        "rate_limit_id": "rl-gpt-5-mini",
    }


def example(call: Call, people: People) -> Example:
    named = ids(people)
    body = BODIES.get(call.sdk)
    if call.sdk.startswith("projects.spend_limit"):
        people.api.projects.spend_limit.update(named["project_id"], **SPENDING, threshold_amount=500)
    elif call.sdk.startswith("spend_limit"):
        # Some other amount than the last example's, so that each changes something.
        limit = people.api.spend_limit.update(**SPENDING, threshold_amount=next(_amounts))
        body = {**SPENDING, "threshold_amount": limit.threshold_amount + 1} if call.method == "POST" else None
    elif call.sdk.startswith("projects.spend_alerts"):
        named["alert_id"] = people.api.projects.spend_alerts.create(named["project_id"], **ALERT).id
    elif call.sdk.startswith("spend_alerts"):
        named["alert_id"] = people.api.spend_alerts.create(**ALERT).id
    elif call.sdk == "projects.model_permissions.delete":
        people.api.projects.model_permissions.update(
            named["project_id"], mode="allow_list", model_ids=["gpt-5-mini"]
        )
    elif call.sdk == "data_retention.update":
        known = people.api.data_retention.retrieve().type
        others = {"zero_data_retention", "modified_abuse_monitoring"} - {known}
        body = {"retention_type": others.pop()}
    return Example(call.method, call.path.format(**named), body, QUERIES.get(call.sdk, {}))
