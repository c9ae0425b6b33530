"""What is kept of content: chosen through the SDK, held on a request's way, refused where it cannot be."""

import json
from typing import Any

import openai
import pytest

from tests.app.admin.people import People
from tests.app.conftest import StandIn
from tests.servers import until

ZERO = "zero_data_retention"
ASKED: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "hi"}],
    "temperature": 0,
}


def test_a_project_follows_its_organization_until_it_chooses(people: People) -> None:
    api = people.api
    project = api.projects.create(name="Web shop").id
    assert api.data_retention.retrieve().type == "modified_abuse_monitoring"
    assert api.projects.data_retention.retrieve(project).type == "organization_default"
    assert api.data_retention.update(retention_type=ZERO).type == ZERO
    assert api.data_retention.retrieve().type == ZERO
    chosen = api.projects.data_retention.update(project, retention_type="modified_abuse_monitoring")
    assert chosen.type == "modified_abuse_monitoring"
    assert api.projects.data_retention.retrieve(project) == chosen
    entries = people.log()[1:]
    assert [one["type"] for one in entries] == ["organization.updated", "project.updated"]
    assert entries[0]["organization.updated"]["after"] == {"data_retention": ZERO}
    assert entries[1]["project.updated"]["before"] == {"data_retention": "organization_default"}


@pytest.mark.parametrize("of", ["organization", "project"])
def test_with_zero_data_retention_no_answer_is_kept_and_nothing_stored_upstream(
    people: People, stand_in: StandIn, of: str
) -> None:
    project = people.api.projects.create(name="Web shop").id
    key = people.api.projects.service_accounts.create(project, name="web").api_key.value
    sdk = people.gateway.sdk(key)

    def cached() -> str:
        found: str = sdk.chat.completions.with_raw_response.create(**ASKED).headers["x-cache"]
        return found

    assert cached() == "miss"
    until(lambda: cached() == "hit", 5.0, "the answer to be kept")
    if of == "organization":
        people.api.data_retention.update(retention_type=ZERO)
    else:
        people.api.projects.data_retention.update(project, retention_type=ZERO)
    until(lambda: cached() == "bypass", 5.0, "the choice to hold")
    assert cached() == "bypass"
    sdk.responses.create(model="gpt-4o-mini", input="hi")
    assert json.loads(stand_in.last_call()["body"])["store"] is False
    with sdk.responses.create(model="gpt-4o-mini", input="hi", stream=True) as events:
        assert list(events)[-1].type == "response.completed"
    assert json.loads(stand_in.last_call()["body"])["store"] is False
    assert sdk.responses.create(model="gpt-4o-mini", input="hi", store=False)
    for ask in (
        lambda: sdk.responses.create(model="gpt-4o-mini", input="hi", store=True),
        lambda: sdk.responses.create(model="gpt-4o-mini", input="hi", extra_body={"store": None}),
        lambda: sdk.chat.completions.create(**ASKED, store=True),
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert (refused.value.param, refused.value.code) == ("store", ZERO)
    if of == "organization":
        people.api.projects.data_retention.update(project, retention_type="modified_abuse_monitoring")
        until(lambda: cached() == "hit", 5.0, "the project's own choice to hold")


@pytest.mark.usefixtures("stand_in")
def test_what_was_kept_before_is_found_by_nobody_once_its_namespace_is_invalidated(people: People) -> None:
    project = people.api.projects.create(name="Web shop").id
    sdk = people.gateway.sdk(people.api.projects.service_accounts.create(project, name="web").api_key.value)

    def cached() -> str:
        found: str = sdk.chat.completions.with_raw_response.create(**ASKED).headers["x-cache"]
        return found

    assert cached() == "miss"
    until(lambda: cached() == "hit", 5.0, "the answer to be kept")
    people.api.projects.data_retention.update(project, retention_type=ZERO)
    until(lambda: cached() == "bypass", 5.0, "the choice to hold")
    sdk.post("/cache/invalidate", body={"namespace": "default"}, cast_to=object)
    people.api.projects.data_retention.update(project, retention_type="modified_abuse_monitoring")
    found = until(lambda: None if (said := cached()) == "bypass" else said, 5.0, "the other choice to hold")
    assert found == "miss"


@pytest.mark.parametrize(
    ("path", "chosen"),
    [
        ("", "none"),
        ("", "organization_default"),
        ("", "enhanced_zero_data_retention"),
        ("/projects/{project}", "none"),
        ("/projects/{project}", "enhanced_modified_abuse_monitoring"),
        ("/projects/{project}", "some"),
    ],
)
def test_what_could_only_be_claimed_is_refused_with_the_reason(
    people: People, path: str, chosen: str
) -> None:
    place = path.format(project=people.api.projects.create(name="Web shop").id)
    answer = people.ask("POST", f"/organization{place}/data_retention", body={"retention_type": chosen})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "retention_type")
    if chosen.startswith("enhanced"):
        assert "agreement with OpenAI" in error["message"]
