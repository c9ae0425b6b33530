"""The audit log through the SDK: the latest first, by filter, page by page both ways."""

from typing import Any

import pytest

from tests.app.admin.people import People


def ids(entries: Any) -> list[str]:
    return [entry.id for entry in entries]


def test_the_latest_change_comes_first_and_pages_go_both_ways(people: People) -> None:
    for number in range(5):
        people.api.projects.create(name=f"Number {number}")
    logs = people.api.audit_logs
    every = list(logs.list(limit=2))
    assert [entry.project_created.data.name for entry in every] == [f"Number {n}" for n in (4, 3, 2, 1, 0)]
    first = logs.list(limit=2)
    assert first.has_more
    assert ids(logs.list(limit=2, after=first.last_id).data) == ids(every[2:4])
    back = logs.list(limit=2, before=every[3].id)
    assert (ids(back.data), back.has_more) == (ids(every[1:3]), True)
    back = logs.list(limit=2, before=every[2].id)
    assert (ids(back.data), back.has_more) == (ids(every[0:2]), False)
    between = logs.list(after=every[0].id, before=every[3].id)
    assert ids(between.data) == ids(every[1:3])


def test_entries_are_found_by_what_happened_to_what_where_and_by_whom(people: People) -> None:
    _, second_key = people.add("owner", "second@example.com")
    by_second = people.client(second_key).admin.organization
    web, shop = people.api.projects.create(name="Web"), by_second.projects.create(name="Shop")
    account = by_second.projects.service_accounts.create(web.id, name="web")
    assert account.api_key is not None
    every = ids(people.api.audit_logs.list())

    def found(**filters: Any) -> list[int]:
        return [every[::-1].index(one) for one in ids(people.api.audit_logs.list(**filters))][::-1]

    assert found(event_types=["project.created"]) == [0, 1]
    assert found(event_types=["project.created", "api_key.created"]) == [0, 1, 3]
    assert found(actor_ids=[people.owner["id"]]) == [0]
    assert found(actor_emails=["second@example.com"]) == [1, 2, 3]
    assert found(project_ids=[web.id]) == [0, 2, 3]
    assert found(resource_ids=[shop.id, account.api_key.id]) == [1, 3]
    assert found(project_ids=[web.id], event_types=["api_key.deleted"]) == []
    assert found(tenant_only=True) == []


def test_entries_are_found_by_when_they_happened(people: People) -> None:
    people.api.projects.create(name="Now")
    [entry] = people.api.audit_logs.list()
    at = entry.effective_at
    for bounds, count in (
        ({"gte": at, "lte": at}, 1),
        ({"gt": at - 1, "lt": at + 1}, 1),
        ({"gt": at}, 0),
        ({"lt": at}, 0),
        ({"gte": at + 1, "lte": at - 1}, 0),
        ({"gte": 0}, 1),
    ):
        assert len(list(people.api.audit_logs.list(effective_at=bounds))) == count, bounds


@pytest.mark.parametrize("query", ["effective_at[since]=5", "event_types=a&event_types=b", "actor_id[]=x"])
def test_filters_that_do_not_exist_are_refused(people: People, query: str) -> None:
    answer = people.ask("GET", f"/organization/audit_logs?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("effective_at.since", "event_types", "actor_id")


def test_what_an_operator_has_issued_is_told_as_the_api_tells_it(people: People) -> None:
    people.project_key()
    [project] = people.api.projects.list()
    by_operator = people.log()
    roles: dict[str, Any] = {project.id: "member"}
    _, key = people.add("reader", "member@example.com", **roles)
    seen = [entry.type for entry in people.client(key).admin.organization.audit_logs.list()]
    assert seen == ["api_key.created", "service_account.created", "project.created"]
    assert len(ids(people.api.audit_logs.list(project_ids=[project.id]))) == 3
    made = people.api.projects.create(name="Of a key")
    people.api.projects.service_accounts.create(made.id, name="key")
    for theirs, ours in zip(by_operator, people.log()[3:], strict=True):
        kind = theirs["type"]
        assert theirs["project"]["name"] == ours["project"]["name"] == "Of a key"
        assert {*theirs[kind]} == {*ours[kind]}
        told, as_told = theirs[kind]["after"], ours[kind]["after"]
        assert {**told, "redacted_value": None} == {**as_told, "redacted_value": None}
