"""Projects through the SDK: what is made, found, changed and archived, and what the log says of it."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.app.admin.people import People
from tests.servers import until


def test_a_project_is_made_found_renamed_and_archived(people: People) -> None:
    projects = people.api.projects
    made = projects.create(name="Web shop")
    assert (made.name, made.status, made.archived_at) == ("Web shop", "active", None)
    assert projects.retrieve(made.id) == made
    assert [one.id for one in projects.list()] == [made.id]
    renamed = projects.update(made.id, name="Shop")
    assert (renamed.id, renamed.name, renamed.created_at) == (made.id, "Shop", made.created_at)
    archived = projects.archive(made.id)
    assert archived.status == "archived"
    assert archived.archived_at >= made.created_at
    assert list(projects.list()) == []
    assert [one.name for one in projects.list(include_archived=True)] == ["Shop"]


def test_the_log_tells_each_change_with_who_from_where_before_and_after(people: People) -> None:
    project = people.api.projects.create(name="Web shop")
    people.api.projects.update(project.id, name="Shop")
    people.api.projects.archive(project.id)
    created, updated, archived = people.log()
    assert [one["type"] for one in (created, updated, archived)] == [
        "project.created",
        "project.updated",
        "project.archived",
    ]
    actor = created["actor"]
    assert actor["type"] == "api_key"
    assert actor["api_key"]["user"] == {"id": people.owner["id"], "email": "owner@example.com"}
    assert actor["ip_address"] == "127.0.0.1"
    assert actor["user_agent"].startswith("StrictClient/Python")
    assert created["project.created"]["data"]["name"] == "Web shop"
    assert updated["project.updated"] == {
        "id": project.id,
        "changes_requested": {"title": "Shop"},
        "before": {"name": "Web shop"},
        "after": {"name": "Shop"},
    }
    assert archived["project.archived"]["before"] == {"archived_at": None, "status": "active"}
    assert archived["project.archived"]["after"]["status"] == "archived"
    assert {one["project"]["id"] for one in (created, updated, archived)} == {project.id}


def test_what_changes_nothing_is_not_in_the_log(people: People) -> None:
    project = people.api.projects.create(name="Same")
    people.api.projects.update(project.id, name="Same")
    first = people.api.projects.archive(project.id)
    assert people.api.projects.archive(project.id) == first
    assert [one["type"] for one in people.log()] == ["project.created", "project.archived"]


def test_an_archived_project_cannot_be_changed(people: People) -> None:
    project = people.api.projects.create(name="Old")
    people.api.projects.archive(project.id)
    changes: tuple[Callable[[], object], ...] = (
        lambda: people.api.projects.update(project.id, name="New"),
        lambda: people.api.projects.service_accounts.create(project.id, name="Late"),
    )
    for change in changes:
        with pytest.raises(openai.BadRequestError) as refused:
            change()
        assert refused.value.code == "project_archived"


def test_an_archived_projects_keys_are_refused_everywhere_within_5_s(people: People) -> None:
    project = people.api.projects.create(name="Short")
    key = people.api.projects.service_accounts.create(project.id, name="web").api_key.value
    sdk = people.gateway.sdk(key)
    assert sdk.models.list()
    people.api.projects.archive(project.id)

    def refused() -> bool:
        try:
            sdk.models.list()
        except openai.AuthenticationError as error:
            return error.code == "project_archived"
        return False

    until(refused, 5.0, "the key to be refused")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "name", "missing_required_parameter"),
        ({"name": ""}, "name", "invalid_value"),
        ({"name": " \t"}, "name", "invalid_value"),
        ({"name": 7}, "name", "invalid_value"),
        ({"name": "n" * 201}, "name", "invalid_value"),
        ({"name": "n", "nmae": "n"}, "nmae", "unknown_parameter"),
        ({"name": "n", "residency": "EU_STORAGE_PROCESSING"}, "residency", "invalid_value"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(
    people: People, fields: dict[str, object], param: str, code: str
) -> None:
    answer = people.ask("POST", "/organization/projects", body=fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert error["type"] == "invalid_request_error"
    assert list(people.api.projects.list()) == []


def test_bad_parameters_of_a_query_are_refused_by_their_names(people: People) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"include_archived": "perhaps"}, "include_archived"),
        ({"includearchived": "true"}, "includearchived"),
    ]
    for query, param in wrong:
        answer = people.ask("GET", "/organization/projects", **query)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_an_unknown_project_is_not_found(people: People) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        people.api.projects.retrieve("proj_none")
    assert (refused.value.param, refused.value.code) == ("project_id", "not_found")
