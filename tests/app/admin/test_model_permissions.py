"""Which models a project may use, through the SDK, and how its item has it."""

import json
from typing import Any

import pytest

from tests.app.admin.people import People
from tests.app.conftest import TABLE


def settings(people: People, project: str) -> dict[str, Any] | None:
    key = {"pk": {"S": f"PROJECT#{project}"}, "sk": {"S": "PROJECT"}}
    item = people.aws.client("dynamodb").get_item(TableName=TABLE, Key=key)["Item"]
    return json.loads(item["settings"]["S"]) if "settings" in item else None


def test_permissions_are_set_found_changed_and_taken_away(people: People) -> None:
    project = people.api.projects.create(name="Web shop").id
    calls = people.api.projects.model_permissions
    nothing = calls.retrieve(project)
    assert (nothing.mode, nothing.api_model_ids) == ("deny_list", [])
    made = calls.update(project, mode="allow_list", model_ids=["gpt-5-mini", "gpt-5", "gpt-5-mini"])
    assert (made.mode, made.api_model_ids) == ("allow_list", ["gpt-5-mini", "gpt-5"])
    assert calls.retrieve(project) == made
    stored = {"model_permissions": {"mode": "allow_list", "model_ids": ["gpt-5-mini", "gpt-5"]}}
    assert settings(people, project) == stored
    calls.update(project, mode="deny_list", model_ids=["o3"])
    assert calls.delete(project).deleted
    assert calls.delete(project).deleted
    assert calls.retrieve(project) == nothing
    assert settings(people, project) is None
    entries = people.log()[1:]
    assert [one["type"] for one in entries] == ["project.updated"] * 3
    assert entries[0]["project.updated"]["before"] == {"model_permissions": None}
    assert entries[1]["project.updated"]["after"] == {
        "model_permissions": {"mode": "deny_list", "model_ids": ["o3"]}
    }


def test_a_projects_other_settings_stay(people: People) -> None:
    project = people.api.projects.create(name="Web shop").id
    people.aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"PROJECT#{project}"}, "sk": {"S": "PROJECT"}},
        UpdateExpression="SET settings = :settings",
        ExpressionAttributeValues={":settings": {"S": '{"cache_ttl_s":5}'}},
    )
    people.api.projects.model_permissions.update(project, mode="allow_list", model_ids=[])
    permissions = {"mode": "allow_list", "model_ids": []}
    assert settings(people, project) == {"cache_ttl_s": 5, "model_permissions": permissions}
    people.api.projects.model_permissions.delete(project)
    assert settings(people, project) == {"cache_ttl_s": 5}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "mode"),
        ({"mode": "all", "model_ids": []}, "mode"),
        ({"mode": "allow_list", "model_ids": "gpt-5"}, "model_ids"),
        ({"mode": "allow_list", "model_ids": ["gpt 5"]}, "model_ids[0]"),
        ({"mode": "allow_list", "model_ids": ["m"] * 1001}, "model_ids"),
    ],
)
def test_bad_permissions_are_refused_by_their_field(
    people: People, fields: dict[str, object], param: str
) -> None:
    project = people.api.projects.create(name="Web shop").id
    answer = people.ask("POST", f"/organization/projects/{project}/model_permissions", body=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
