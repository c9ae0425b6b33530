"""A project's limits for single models through the SDK, and that requests are held to them."""

from typing import Any

import openai
import pytest

from app.admin.layout import Address, organization_address, project_address
from app.admin.rate_limits import row_id
from app.limits import MOST, Limits, limits_attributes
from local.stand_in.models import LISTED
from tests.app.admin.people import People
from tests.app.conftest import TABLE, StandIn, StartGateway
from tests.servers import until


@pytest.fixture
def project(people: People, stand_in: StandIn) -> str:
    assert stand_in.url
    made: str = people.api.projects.create(name="Web shop").id
    return made


def rows(people: People, project: str, **query: Any) -> dict[str, Any]:
    return {row.model: row for row in people.api.projects.rate_limits.list_rate_limits(project, **query)}


def limit(people: People, address: Address, limits: Limits) -> None:
    """Of all models together, which only other hands than the API's write."""
    written = limits_attributes(limits)
    people.aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key=address.key(),
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in written),
        ExpressionAttributeValues={f":{name}": value for name, value in written.items()},
    )


def test_there_is_a_row_for_each_model_that_the_upstream_serves(people: People, project: str) -> None:
    found = rows(people, project)
    assert set(found) == set(LISTED)
    assert list(found) == sorted(found, key=row_id)
    row = found["gpt-5-mini"]
    assert (row.id, row.max_requests_per_1_minute, row.max_tokens_per_1_minute) == (
        "rl-gpt-5-mini",
        MOST,
        MOST,
    )
    assert row.max_requests_per_1_day is None
    assert rows(people, project, limit=3) == found
    first = people.api.projects.rate_limits.list_rate_limits(project, limit=3)
    back = people.api.projects.rate_limits.list_rate_limits(project, limit=2, before=first.data[2].id)
    assert back.data == first.data[:2]


def test_a_row_without_limits_of_its_own_shows_the_smaller_of_those_above(
    people: People, project: str
) -> None:
    limit(people, project_address(project), Limits(requests_per_minute=70, requests_per_day=900))
    organization = organization_address(people.organization_id)
    limit(people, organization, Limits(requests_per_minute=60, tokens_per_minute=5000))
    change = people.api.projects.rate_limits.update_rate_limit
    row = change("rl-gpt-5", project_id=project, max_tokens_per_1_minute=9000)
    shown = (row.max_requests_per_1_minute, row.max_tokens_per_1_minute, row.max_requests_per_1_day)
    assert shown == (60, 9000, 900)
    assert row.own == {"max_tokens_per_1_minute": 9000}
    back = change("rl-gpt-5", project_id=project, max_tokens_per_1_minute=MOST)
    assert (back.max_tokens_per_1_minute, back.own) == (5000, {})
    assert not any(one.own for one in rows(people, project).values())


def test_a_changed_limit_is_in_the_list_and_in_the_log(people: People, project: str) -> None:
    change = people.api.projects.rate_limits.update_rate_limit
    made = change("rl-gpt-5-mini", project_id=project, max_requests_per_1_minute=7, max_requests_per_1_day=50)
    assert (made.max_requests_per_1_minute, made.max_requests_per_1_day) == (7, 50)
    assert change("rl-gpt-5-mini", project_id=project, max_requests_per_1_minute=7) == made
    change("rl-gpt-5-mini", project_id=project, max_requests_per_1_minute=8)
    assert rows(people, project)["gpt-5-mini"].max_requests_per_1_minute == 8
    first, second = people.log()[1:]
    assert first["type"] == second["type"] == "rate_limit.updated"
    assert first["rate_limit.updated"] == {
        "id": "rl-gpt-5-mini",
        "changes_requested": {"max_requests_per_1_minute": 7, "max_requests_per_1_day": 50},
        "before": {"max_requests_per_1_minute": MOST, "max_requests_per_1_day": None},
        "after": {"max_requests_per_1_minute": 7, "max_requests_per_1_day": 50},
    }
    assert second["rate_limit.updated"]["before"] == {"max_requests_per_1_minute": 7}


def test_requests_are_held_to_a_changed_limit_within_5_s(people: People, project: str) -> None:
    key = people.api.projects.service_accounts.create(project, name="web").api_key.value
    sdk = people.gateway.sdk(key)

    def refused(model: str) -> bool:
        try:
            sdk.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "hi"}], temperature=1
            )
        except openai.RateLimitError as error:
            return f"{model} in project {project}" in error.message
        return False

    assert not refused("gpt-4o-mini")
    people.api.projects.rate_limits.update_rate_limit(
        "rl-gpt-4o-mini", project_id=project, max_requests_per_1_minute=1
    )
    until(lambda: refused("gpt-4o-mini"), 5.0, "the limit to hold")
    assert not refused("gpt-4o")


@pytest.mark.parametrize("model", ["ft:gpt-4o:acme::1", "meta/llama 3%", "m#1"])
def test_a_models_name_may_be_any(people: People, project: str, model: str) -> None:
    written = {"pk": {"S": f"PROJECT#{project}"}, "sk": {"S": f"RATE_LIMIT#{model}"}}
    people.aws.client("dynamodb").put_item(TableName=TABLE, Item=written)
    row = rows(people, project)[model]
    changed = people.api.projects.rate_limits.update_rate_limit(
        row.id, project_id=project, max_tokens_per_1_minute=5
    )
    assert (changed.model, changed.max_tokens_per_1_minute) == (model, 5)


@pytest.mark.parametrize("rate_limit_id", ["rl-unheard-of", "gpt-5-mini", "rl-gpt%2D5"])
def test_a_row_that_is_none_is_not_found(people: People, project: str, rate_limit_id: str) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        people.api.projects.rate_limits.update_rate_limit(
            rate_limit_id, project_id=project, max_tokens_per_1_minute=5
        )
    assert refused.value.param == "rate_limit_id"


@pytest.mark.parametrize(
    "fields",
    [
        {"max_requests_per_1_minute": 0},
        {"max_tokens_per_1_minute": MOST + 1},
        {"max_images_per_1_minute": 5},
        {"batch_1_day_max_input_tokens": 5},
    ],
)
def test_a_bad_limit_is_refused_by_its_field(people: People, project: str, fields: dict[str, object]) -> None:
    answer = people.ask("POST", f"/organization/projects/{project}/rate_limits/rl-gpt-5", body=fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(fields)))


def test_limits_that_the_hot_path_could_not_read_are_refused(people: People, project: str) -> None:
    written = {
        "pk": {"S": f"PROJECT#{project}"},
        "sk": {"S": "RATE_LIMIT#gpt-5"},
        "burst_requests": {"N": str(MOST - 5)},
    }
    people.aws.client("dynamodb").put_item(TableName=TABLE, Item=written)
    with pytest.raises(openai.BadRequestError):
        people.api.projects.rate_limits.update_rate_limit(
            "rl-gpt-5", project_id=project, max_requests_per_1_minute=6
        )


def test_without_the_upstream_there_is_no_list_but_an_error_that_says_so(
    people: People, project: str, start_gateway: StartGateway
) -> None:
    with start_gateway(GATEWAY_OPENAI_BASE_URL="http://127.0.0.1:1/v1") as alone:
        api = people.client(url=alone.url).admin.organization
        with pytest.raises(openai.APIStatusError) as refused:
            api.projects.rate_limits.list_rate_limits(project)
    assert refused.value.status_code == 502
