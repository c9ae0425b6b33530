"""A project's settings through our own call: checked at once, merged, logged, and in force within seconds."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.admin.layout import project_address
from app.project_settings import ATTRIBUTE
from tests.app.admin.people import People
from tests.app.conftest import TABLE
from tests.servers import until

ADMIN: Any = {"security": {"admin_api_key_auth": True}}
DEFAULTS: dict[str, object] = {
    "cache_ttl_s": None,
    "cache_all": False,
    "cache_shared": False,
    "default_model": None,
    "model_aliases": {},
}


@pytest.fixture
def project_id(people: People) -> str:
    made: str = people.api.projects.create(name="Web shop").id
    return made


def path(project_id: str) -> str:
    return f"/organization/projects/{project_id}/settings"


def choose(people: People, project_id: str, **settings: object) -> dict[str, Any]:
    answer = people.ask("POST", path(project_id), body={"settings": settings})
    assert answer.status_code == 200, answer.text
    chosen: dict[str, Any] = answer.json()["settings"]
    return chosen


def test_the_sdk_reads_and_sets_them_by_their_path(people: People, project_id: str) -> None:
    client = people.client()
    before = client.get(path(project_id), cast_to=dict[str, Any], options=ADMIN)
    assert before["settings"].items() >= DEFAULTS.items()
    after = client.post(
        path(project_id), cast_to=dict[str, Any], body={"settings": {"cache_ttl_s": 60}}, options=ADMIN
    )
    assert after == {**before, "settings": {**before["settings"], "cache_ttl_s": 60}}
    assert client.get(path(project_id), cast_to=dict[str, Any], options=ADMIN) == after


def test_what_is_not_named_stays_and_null_goes_back_to_the_default(people: People, project_id: str) -> None:
    choose(people, project_id, cache_ttl_s=60, default_model="gpt-4o-mini", caps={"n": 2})
    kept = choose(people, project_id, caps={"max_tokens": 100})
    assert (kept["cache_ttl_s"], kept["caps"]["max_tokens"], kept["caps"]["n"]) == (60, 100, None)
    reset = choose(people, project_id, **dict.fromkeys(kept))
    assert reset.items() >= DEFAULTS.items()
    item = people.aws.client("dynamodb").get_item(TableName=TABLE, Key=project_address(project_id).key())
    assert ATTRIBUTE not in item["Item"]


def test_every_problem_is_named_at_once_and_nothing_is_changed(people: People, project_id: str) -> None:
    wrong = {"cache_ttl_s": -1, "caps": {"n": 0}, "nonsense": 1, "model_permissions": {"mode": "allow_list"}}
    answer = people.ask("POST", path(project_id), body={"settings": wrong})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (
        400,
        "settings.model_permissions",
        "invalid_value",
    )
    paths = sorted(line.partition(":")[0].partition("=")[0] for line in error["message"].splitlines())
    assert paths == [
        "settings.cache_ttl_s",
        "settings.caps.n",
        "settings.model_permissions",
        "settings.nonsense",
    ]
    assert people.ask("GET", path(project_id)).json()["settings"].items() >= DEFAULTS.items()
    for body in ({}, {"settings": 1}, {"settings": {}, "more": 1}):
        assert people.ask("POST", path(project_id), body=body).status_code == 400


def test_the_log_tells_what_was_changed_and_only_that(people: People, project_id: str) -> None:
    choose(people, project_id, cache_ttl_s=60)
    choose(people, project_id, cache_ttl_s=60)
    choose(people, project_id, caps={"timeout_s": 2.5})
    _, entry, capped = people.log()
    assert capped["project.updated"]["after"]["settings"]["caps"]["timeout_s"] == "2.5"
    assert entry["project.updated"] == {
        "id": project_id,
        "changes_requested": {},
        "before": {"settings": {"cache_ttl_s": None}},
        "after": {"settings": {"cache_ttl_s": 60}},
    }


def test_concurrent_changes_of_different_settings_are_all_kept(people: People, project_id: str) -> None:
    wanted: list[dict[str, object]] = [
        {"cache_ttl_s": 7},
        {"cache_all": True},
        {"default_model": "gpt-4o-mini"},
        {"caps": {"n": 3}},
    ]
    with ThreadPoolExecutor(len(wanted)) as pool:
        list(pool.map(lambda settings: choose(people, project_id, **settings), wanted))
    settings = people.ask("GET", path(project_id)).json()["settings"]
    assert settings["caps"].pop("n") == 3
    assert settings.items() >= {"cache_ttl_s": 7, "cache_all": True, "default_model": "gpt-4o-mini"}.items()


def test_model_permissions_beside_them_are_kept(people: People, project_id: str) -> None:
    permissions = {"mode": "allow_list", "model_ids": ["gpt-4o-mini"]}
    table, key = people.aws.client("dynamodb"), project_address(project_id).key()
    table.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET settings = :settings",
        ExpressionAttributeValues={":settings": {"S": json.dumps({"model_permissions": permissions})}},
    )
    choose(people, project_id, cache_ttl_s=60)
    kept = json.loads(table.get_item(TableName=TABLE, Key=key)["Item"][ATTRIBUTE]["S"])
    assert kept == {"model_permissions": permissions, "cache_ttl_s": 60}


def test_a_cap_holds_within_5_s(people: People, project_id: str) -> None:
    key = people.api.projects.service_accounts.create(project_id, name="web").api_key.value
    sdk = people.gateway.sdk(key)
    choose(people, project_id, caps={"max_tokens": 16})

    def refused() -> bool:
        try:
            sdk.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], max_tokens=17
            )
        except openai.BadRequestError as error:
            return "16" in error.message
        return False

    until(refused, 5.0, "the cap")


def test_an_archived_projects_settings_can_be_read_and_not_changed(people: People, project_id: str) -> None:
    people.api.projects.archive(project_id)
    assert people.ask("GET", path(project_id)).status_code == 200
    answer = people.ask("POST", path(project_id), body={"settings": {"cache_all": True}})
    assert answer.json()["error"]["code"] == "project_archived"
