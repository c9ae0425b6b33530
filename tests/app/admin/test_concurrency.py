"""Changes at the same time, by several replicas: none is lost, none counts twice, nobody acts who may not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.admin.layout import project_address
from tests.app.admin.people import People
from tests.app.conftest import TABLE, Gateway


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each returns, or raises."""

    def outcome(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except openai.APIError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(outcome, works))


@pytest.fixture
def apis(people: People, second_gateway: Gateway) -> list[Any]:
    """The owner at two replicas."""
    return [people.client(url=url).admin.organization for url in (people.gateway.url, second_gateway.url)]


def test_of_many_that_archive_a_project_one_does(people: People, apis: list[Any]) -> None:
    project = people.api.projects.create(name="Once")
    archived = at_once(*(lambda api=api: api.projects.archive(project.id) for api in apis * 4))
    assert {one.archived_at for one in archived} == {archived[0].archived_at}
    assert [one["type"] for one in people.log()] == ["project.created", "project.archived"]


def test_renaming_at_once_leaves_a_log_that_leads_to_the_name(people: People, apis: list[Any]) -> None:
    project = people.api.projects.create(name="Start")
    renames = [
        lambda api=api, number=number: api.projects.update(project.id, name=f"Name {number}")
        for number, api in enumerate(apis * 4)
    ]
    for answer in at_once(*renames):
        assert not isinstance(answer, Exception), answer
    changes = [one["project.updated"] for one in people.log()[1:]]
    assert len(changes) == len(renames)
    # In a chain each change begins with what another one left; the clocks of two replicas need not agree.
    befores = {one["before"]["name"] for one in changes}
    afters = {one["after"]["name"] for one in changes}
    assert len(befores) == len(afters) == len(renames)
    assert befores - afters == {"Start"}
    assert afters - befores == {people.api.projects.retrieve(project.id).name}


def test_keys_made_at_once_are_all_their_accounts(people: People, apis: list[Any]) -> None:
    project = people.api.projects.create(name="Keys")
    account = people.api.projects.service_accounts.create(project.id, name="web")
    made = at_once(
        *(
            lambda api=api: api.projects.service_accounts.api_keys.create(account.id, project_id=project.id)
            for api in apis * 3
        )
    )
    listed = {one.id for one in people.api.projects.api_keys.list(project.id)}
    assert listed == {account.api_key.id, *(one.id for one in made)}
    people.api.projects.service_accounts.delete(account.id, project_id=project.id)
    assert list(people.api.projects.api_keys.list(project.id)) == []


def test_an_account_that_is_deleted_while_it_gets_keys_leaves_none(people: People, apis: list[Any]) -> None:
    project = people.api.projects.create(name="Race")
    account = people.api.projects.service_accounts.create(project.id, name="web")
    one, other = (api.projects.service_accounts for api in apis)
    at_once(
        *(lambda: one.api_keys.create(account.id, project_id=project.id),) * 3,
        lambda: other.delete(account.id, project_id=project.id),
    )
    assert list(people.api.projects.service_accounts.list(project.id)) == []
    assert list(people.api.projects.api_keys.list(project.id)) == []


def test_a_project_that_is_archived_while_it_is_renamed_keeps_both_or_refuses_one(
    people: People, apis: list[Any]
) -> None:
    project = people.api.projects.create(name="Before")
    renamed, archived = at_once(
        lambda: apis[0].projects.update(project.id, name="After"),
        lambda: apis[1].projects.archive(project.id),
    )
    now = people.api.projects.retrieve(project.id)
    assert now.status == archived.status == "archived"
    if isinstance(renamed, openai.BadRequestError):
        assert (renamed.code, now.name) == ("project_archived", "Before")
    else:
        assert now.name == "After"


def test_a_change_by_other_hands_is_kept(people: People) -> None:
    """An attribute that administration does not know, written without a version."""
    project = people.api.projects.create(name="Limited")
    people.aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key=project_address(project.id).key(),
        UpdateExpression="SET requests_per_day = :n REMOVE version",
        ExpressionAttributeValues={":n": {"N": "7"}},
    )
    people.api.projects.update(project.id, name="Renamed")
    item = people.aws.client("dynamodb").get_item(TableName=TABLE, Key=project_address(project.id).key())[
        "Item"
    ]
    assert (item["requests_per_day"], item["name"]) == ({"N": "7"}, {"S": "Renamed"})
    assert item["version"] == {"N": "1"}
