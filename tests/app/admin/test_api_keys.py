"""A project's keys through the SDK: listed with their owners, redacted, deleted."""

import time

import openai
import pytest

from tests.app.admin.people import People
from tests.servers import until


@pytest.fixture
def project_id(people: People) -> str:
    made: str = people.api.projects.create(name="Web shop").id
    return made


def test_keys_are_listed_with_their_owners(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web", expires_in_seconds=600)
    [key] = people.api.projects.api_keys.list(project_id)
    assert (key.id, key.name, key.expires_at) == (made.api_key.id, "web", made.api_key.expires_at)
    assert (key.owner.type, key.owner.service_account.id) == ("service_account", made.id)
    assert key.owner_project_access == "active"
    assert people.api.projects.api_keys.retrieve(key.id, project_id=project_id) == key


@pytest.mark.usefixtures("stand_in")
def test_a_key_tells_when_it_was_last_used(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web")
    people.api.projects.service_accounts.create(project_id, name="unused")
    people.gateway.sdk(made.api_key.value).embeddings.create(model="text-embedding-3-small", input="one")

    def used_at() -> int | None:
        at: int | None = people.api.projects.api_keys.retrieve(
            made.api_key.id, project_id=project_id
        ).last_used_at
        return at

    at = until(used_at, 10.0, "the last use")
    assert abs(at - time.time()) < 60
    listed = {one.name: one.last_used_at for one in people.api.projects.api_keys.list(project_id)}
    assert listed == {"web": at, "unused": None}


def test_keys_are_found_by_whether_their_owners_have_access(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web")

    def found(access: str) -> list[str]:
        return [one.id for one in people.api.projects.api_keys.list(project_id, owner_project_access=access)]

    assert (found("active"), found("inactive")) == ([made.api_key.id], [])
    people.api.projects.archive(project_id)
    assert (found("active"), found("inactive"), found("any")) == ([], [made.api_key.id], [made.api_key.id])


def test_a_deleted_key_is_refused_within_5_s_and_the_others_are_not(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="web")
    second = accounts.api_keys.create(made.id, project_id=project_id)
    first = people.gateway.sdk(made.api_key.value)
    assert first.models.list()
    gone = people.api.projects.api_keys.delete(made.api_key.id, project_id=project_id)
    assert (gone.id, gone.deleted) == (made.api_key.id, True)

    def refused() -> bool:
        try:
            first.models.list()
        except openai.AuthenticationError:
            return True
        return False

    until(refused, 5.0, "the key to be refused")
    assert people.gateway.sdk(second.value).models.list()
    assert [one.id for one in people.api.projects.api_keys.list(project_id)] == [second.id]
    with pytest.raises(openai.NotFoundError) as missing:
        people.api.projects.api_keys.delete(made.api_key.id, project_id=project_id)
    assert missing.value.param == "api_key_id"


def test_keys_that_the_operator_issued_look_the_same(people: People) -> None:
    people.project_key()
    [project] = people.api.projects.list()
    [account] = people.api.projects.service_accounts.list(project.id)
    [key] = people.api.projects.api_keys.list(project.id)
    assert key.owner.service_account.id == account.id
    assert [one["type"] for one in people.log()] == [
        "project.created",
        "service_account.created",
        "api_key.created",
    ]
    assert people.log()[0]["actor"]["type"] == "session"
