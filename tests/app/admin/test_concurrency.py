"""Changes at the same time, by several replicas: none is lost, none counts twice, nobody acts who may not."""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.admin import administration
from app.admin.administration import Administration
from app.admin.call import Call, Request
from app.admin.items import READER
from app.admin.layout import project_address
from app.admin.notices import Notices
from app.admin.offered import CALLS
from app.admin.store import ConflictError, Store
from app.aws import open_clients
from app.errors import ApiError
from app.exchange import Exchange
from tests.app.admin.collisions import Collisions
from tests.app.admin.examples import example
from tests.app.admin.people import People
from tests.app.conftest import PEPPER, REGION, TABLE, Aws, Gateway, StartGateway


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


CHANGING = [call for call in CALLS if call.method != "GET"]


@pytest.fixture(scope="module")
def colliding(start_gateway: StartGateway, aws: Aws) -> Iterator[tuple[Gateway, Collisions]]:
    """A gateway, and what cancels its transactions."""
    collisions = Collisions(aws.endpoint_url)
    with start_gateway(AWS_ENDPOINT_URL_DYNAMODB=collisions.url) as gateway:
        yield gateway, collisions
    collisions.close()


@pytest.mark.parametrize("call", CHANGING, ids=[call.sdk for call in CHANGING])
def test_a_transaction_that_meets_another_is_made_again(
    call: Call, people: People, colliding: tuple[Gateway, Collisions]
) -> None:
    there = copy.copy(people)
    there.gateway, collisions = colliding
    request = example(call, people)
    last = people.last_entry()
    collisions.left = 1
    answer = request.sent(there, people.owner_key)
    assert (answer.status_code, collisions.left) == (200, 0), answer.text
    assert people.last_entry() != last


async def test_a_conflict_that_a_call_lets_through_is_told_as_one(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def conflicting(_: Request) -> dict[str, Any]:
        raise ConflictError(())

    monkeypatch.setattr(
        administration, "CALLS", (Call("nothing", "POST", "/organization/nothing", READER, conflicting),)
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", people.aws.endpoint_url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(_: Any) -> None:
        raise AssertionError("it answers")

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/organization/nothing",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer " + people.owner_key.encode())],
    }

    async def models(_: Exchange) -> list[str]:
        return []

    async with open_clients(REGION) as (dynamodb, _, sns, _):
        there = Administration(Store(dynamodb, TABLE), PEPPER, Notices(sns, "no-topic"), models)
        with pytest.raises(ApiError) as refused:
            await there.handle(Exchange(scope, receive, send), scope)
    assert (refused.value.status, refused.value.code) == (409, "conflict")
