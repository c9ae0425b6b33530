"""Hard limits through the SDK: in cents, held by admission, and what they say of the month's spending."""

from typing import Any

import openai
import pytest

from tests.app.admin.people import People
from tests.app.admin.test_usage import NOW_S, record, told
from tests.servers import until

USD: dict[str, Any] = {"currency": "USD", "interval": "month"}
PROJECT_CALLS = ("projects.spend_limit", "spend_limit")


def limits(people: People, of: str) -> Any:
    """The calls of an organization's or a project's limit, and what they take first."""
    if of == "spend_limit":
        return people.api.spend_limit, ()
    return people.api.projects.spend_limit, (people.api.projects.create(name="Web shop").id,)


@pytest.mark.parametrize("of", PROJECT_CALLS)
def test_a_limit_is_set_found_changed_and_taken_away(people: People, of: str) -> None:
    calls, first = limits(people, of)
    before = len(people.log())
    with pytest.raises(openai.NotFoundError):
        calls.retrieve(*first)
    with pytest.raises(openai.NotFoundError):
        calls.delete(*first)
    made = calls.update(*first, **USD, threshold_amount=5000)
    assert (made.threshold_amount, made.currency, made.interval) == (5000, "USD", "month")
    assert made.enforcement.status == "inactive"
    assert calls.update(*first, **USD, threshold_amount=6000).threshold_amount == 6000
    assert calls.update(*first, **USD, threshold_amount=6000) == calls.retrieve(*first)
    assert calls.delete(*first).deleted
    with pytest.raises(openai.NotFoundError):
        calls.retrieve(*first)
    kind = "organization.updated" if of == "spend_limit" else "project.updated"
    entries = people.log()[before:]
    assert [one["type"] for one in entries] == [kind] * 3
    assert [(one[kind]["before"], one[kind]["after"]) for one in entries] == [
        ({"spend_limit": None}, {"spend_limit": {"threshold_amount": 5000}}),
        ({"spend_limit": {"threshold_amount": 5000}}, {"spend_limit": {"threshold_amount": 6000}}),
        ({"spend_limit": {"threshold_amount": 6000}}, {"spend_limit": None}),
    ]
    assert {one[kind]["id"] for one in entries} == set(first or (people.organization_id,))


@pytest.mark.parametrize("of", PROJECT_CALLS)
def test_a_limit_is_enforcing_when_less_than_a_cent_of_it_is_left(people: People, of: str) -> None:
    calls, first = limits(people, of)
    project_id = first[0] if first else "proj_a"
    status = calls.update(*first, **USD, threshold_amount=1).enforcement.status
    assert status == "inactive"
    told(people, [record(people, 1, NOW_S, micro_usd=5_000, project_id=project_id)])
    assert calls.retrieve(*first).enforcement.status == "enforcing"
    assert calls.update(*first, **USD, threshold_amount=2).enforcement.status == "inactive"


def test_requests_are_refused_within_5_s_of_a_limit_of_nothing(people: People) -> None:
    project = people.api.projects.create(name="Web shop")
    key = people.api.projects.service_accounts.create(project.id, name="web").api_key.value
    sdk = people.gateway.sdk(key)

    def ask() -> str | None:
        try:
            sdk.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=9
            )
        except openai.RateLimitError as refused:
            return refused.code
        return None

    assert ask() is None
    people.api.projects.spend_limit.update(project.id, **USD, threshold_amount=0)
    until(lambda: ask() == "project_spend_limit_exceeded", 5.0, "the limit to hold")
    people.api.projects.spend_limit.delete(project.id)
    until(lambda: ask() is None, 5.0, "the limit to be gone")


def test_settings_of_an_archived_project_cannot_be_changed(people: People) -> None:
    project = people.api.projects.create(name="Old").id
    people.api.projects.archive(project)
    with pytest.raises(openai.BadRequestError) as refused:
        people.api.projects.spend_limit.update(project, **USD, threshold_amount=5)
    assert refused.value.code == "project_archived"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "currency"),
        ({"currency": "EUR", "interval": "month", "threshold_amount": 1}, "currency"),
        ({"currency": "USD", "interval": "day", "threshold_amount": 1}, "interval"),
        ({"currency": "USD", "interval": "month", "threshold_amount": -1}, "threshold_amount"),
        ({"currency": "USD", "interval": "month", "threshold_amount": 1.5}, "threshold_amount"),
        ({"currency": "USD", "interval": "month", "threshold_amount": 10**12}, "threshold_amount"),
    ],
)
def test_a_bad_limit_is_refused_by_its_field(people: People, fields: dict[str, object], param: str) -> None:
    answer = people.ask("POST", "/organization/spend_limit", body=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
