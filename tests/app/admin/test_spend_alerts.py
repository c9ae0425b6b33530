"""Spend alerts through the SDK, and what the hot path reads of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.limits import parse_limits
from tests.app.admin.people import People
from tests.app.conftest import TABLE

USD: dict[str, Any] = {"currency": "USD", "interval": "month"}


def channel(*recipients: str, **given: Any) -> dict[str, Any]:
    return {"type": "email", "recipients": list(recipients or ("owner@example.com",)), **given}


@pytest.fixture(params=["organization", "project"])
def alerts(request: pytest.FixtureRequest, people: People) -> "Alerts":
    return Alerts(people, request.param)


class Alerts:
    """The calls of an organization's or a project's alerts."""

    def __init__(self, people: People, kind: str) -> None:
        self.people, self.kind = people, kind
        self.first: tuple[str, ...] = ()
        self.address = {"pk": f"ORG#{people.organization_id}", "sk": "ORG"}
        self.calls: Any = people.api.spend_alerts
        if kind == "project":
            self.first = (people.api.projects.create(name="Web shop").id,)
            self.calls = people.api.projects.spend_alerts
            self.address = {"pk": f"PROJECT#{self.first[0]}", "sk": "PROJECT"}

    def create(self, cents: int, **given: Any) -> Any:
        return self.calls.create(
            *self.first, **USD, threshold_amount=cents, notification_channel=channel(**given)
        )

    def named(self, alert_id: str) -> tuple[tuple[str, ...], dict[str, str]]:
        return (alert_id,), {"project_id": self.first[0]} if self.first else {}

    def listed(self, **query: Any) -> list[Any]:
        return list(self.calls.list(*self.first, **query))

    def amounts(self) -> tuple[int, ...]:
        """What the hot path reads, in micro-dollars."""
        key = {name: {"S": value} for name, value in self.address.items()}
        item = self.people.aws.client("dynamodb").get_item(TableName=TABLE, Key=key)["Item"]
        return parse_limits(item).spend_alerts_micro_usd


def test_an_alert_is_made_found_changed_and_deleted(alerts: Alerts) -> None:
    before = len(alerts.people.log())
    made = alerts.create(5000, subject_prefix="[web]")
    assert made.object == f"{alerts.kind}.spend_alert"
    assert made.notification_channel.recipients == ["owner@example.com"]
    assert made.notification_channel.subject_prefix == "[web]"
    given, named = alerts.named(made.id)
    assert alerts.calls.retrieve(*given, **named) == made
    assert alerts.amounts() == (50_000_000,)
    changed = alerts.calls.update(
        *given, **named, **USD, threshold_amount=70, notification_channel=channel("a@example.com")
    )
    assert (changed.id, changed.threshold_amount) == (made.id, 70)
    assert changed.notification_channel.subject_prefix is None
    assert alerts.listed() == [changed]
    assert alerts.amounts() == (700_000,)
    assert alerts.calls.delete(*given, **named).id == made.id
    assert alerts.listed() == []
    assert alerts.amounts() == ()
    with pytest.raises(openai.NotFoundError) as gone:
        alerts.calls.retrieve(*given, **named)
    assert gone.value.param == "alert_id"
    kind = f"{alerts.kind}.updated"
    entries = alerts.people.log()[before:]
    assert [one["type"] for one in entries] == [kind] * 3
    assert [
        [one["threshold_amount"] for one in entry[kind]["after"]["spend_alerts"]] for entry in entries
    ] == [
        [5000],
        [70],
        [],
    ]


def test_alerts_are_listed_in_pages_in_either_order(alerts: Alerts) -> None:
    made = [alerts.create(cents).id for cents in (3, 1, 2)]
    assert [one.id for one in alerts.listed(limit=2)] == made
    assert [one.id for one in alerts.listed(limit=1, order="desc")] == made[::-1]
    assert [one.id for one in alerts.calls.list(*alerts.first, before=made[2], limit=1).data] == [made[1]]
    assert [one.id for one in alerts.listed(after=made[0], before=made[2])] == [made[1]]
    assert alerts.amounts() == (10_000, 20_000, 30_000)


def test_alerts_that_are_made_at_once_are_all_there(alerts: Alerts) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = {one.id for one in pool.map(alerts.create, range(1, 5))}
    assert {one.id for one in alerts.listed()} == made


def test_there_are_at_most_twenty(people: People) -> None:
    alerts = Alerts(people, "project")
    for cents in range(1, 21):
        alerts.create(cents)
    with pytest.raises(openai.BadRequestError) as refused:
        alerts.create(21)
    assert refused.value.code == "too_many_spend_alerts"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"threshold_amount": 0}, "threshold_amount"),
        ({"notification_channel": channel("nobody")}, "notification_channel.recipients[0]"),
        ({"notification_channel": channel("a@b.c\nBcc: d@e.f")}, "notification_channel.recipients[0]"),
        ({"notification_channel": {"type": "email", "recipients": []}}, "notification_channel.recipients"),
        ({"notification_channel": {"type": "sms", "recipients": ["a@b.c"]}}, "notification_channel.type"),
        (
            {"notification_channel": channel(subject_prefix="Grüße")},
            "notification_channel.subject_prefix",
        ),
        (
            {"notification_channel": channel(subject_prefix="p" * 41)},
            "notification_channel.subject_prefix",
        ),
    ],
)
def test_a_bad_alert_is_refused_by_its_field(people: People, fields: dict[str, object], param: str) -> None:
    body = {**USD, "threshold_amount": 1, "notification_channel": channel(), **fields}
    answer = people.ask("POST", "/organization/spend_alerts", body=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
