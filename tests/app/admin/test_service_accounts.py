"""Service accounts and the keys that come with them: shown once, redacted afterwards, gone with it."""

import time

import openai
import pytest

from app.keys import hash_key, looks_like_key
from tests.app.admin.people import People
from tests.app.conftest import PEPPER, TABLE
from tests.servers import until


@pytest.fixture
def project_id(people: People) -> str:
    made: str = people.api.projects.create(name="Web shop").id
    return made


def works(people: People, key: str) -> bool:
    try:
        people.gateway.sdk(key).models.list()
    except openai.AuthenticationError:
        return False
    return True


def test_an_account_comes_with_a_key_that_works(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="web")
    assert (made.name, made.role) == ("web", "member")
    assert looks_like_key(made.api_key.value)
    assert made.api_key.expires_at is None
    assert works(people, made.api_key.value)
    assert accounts.retrieve(made.id, project_id=project_id).name == "web"
    assert [one.id for one in accounts.list(project_id)] == [made.id]


def test_the_value_of_a_key_is_shown_once_and_kept_nowhere(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web")
    value = made.api_key.value
    [key] = people.api.projects.api_keys.list(project_id)
    assert key.redacted_value == f"sk-…{value[-4:]}"
    items = repr(people.aws.client("dynamodb").scan(TableName=TABLE)["Items"])
    assert value not in items
    assert hash_key(PEPPER, value) in items


def test_the_log_of_an_account_and_its_keys_is_whole_and_in_order(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="web")
    accounts.update(made.id, project_id=project_id, name="shop", role="owner")
    second = accounts.api_keys.create(made.id, project_id=project_id, name="second")
    people.api.projects.api_keys.update(second.id, project_id=project_id, expires_in_seconds=60)
    people.api.projects.api_keys.delete(made.api_key.id, project_id=project_id)
    accounts.delete(made.id, project_id=project_id)
    log = people.log()[1:]
    assert [(one["type"], one[one["type"]]["id"]) for one in log] == [
        ("service_account.created", made.id),
        ("api_key.created", made.api_key.id),
        ("service_account.updated", made.id),
        ("api_key.created", second.id),
        ("api_key.updated", second.id),
        ("api_key.deleted", made.api_key.id),
        ("api_key.deleted", second.id),
        ("service_account.deleted", made.id),
    ]
    assert log[2]["service_account.updated"]["before"] == {"name": "web", "role": "member"}
    assert log[2]["service_account.updated"]["after"] == {"name": "shop", "role": "owner"}
    assert all(one["project"]["id"] == project_id for one in log)
    assert "sk-gw-" not in repr(log)


def test_a_deleted_accounts_keys_are_refused_everywhere_within_5_s(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="web")
    second = accounts.api_keys.create(made.id, project_id=project_id).value
    assert works(people, made.api_key.value)
    assert works(people, second)
    gone = accounts.delete(made.id, project_id=project_id)
    assert (gone.id, gone.deleted) == (made.id, True)
    for key in (made.api_key.value, second):
        until(lambda key=key: not works(people, key), 5.0, "the key to be refused")  # type: ignore[misc]
    assert list(people.api.projects.api_keys.list(project_id)) == []
    with pytest.raises(openai.NotFoundError):
        accounts.delete(made.id, project_id=project_id)


def test_an_account_alone_has_no_key_until_it_has_a_role(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="later", create_service_account_only=True)
    assert (made.role, made.api_key) == ("none", None)
    with pytest.raises(openai.BadRequestError) as refused:
        accounts.api_keys.create(made.id, project_id=project_id)
    assert refused.value.code == "service_account_without_role"
    accounts.update(made.id, project_id=project_id, role="member")
    assert works(people, accounts.api_keys.create(made.id, project_id=project_id).value)
    with pytest.raises(openai.BadRequestError) as both:
        accounts.create(project_id, name="n", create_service_account_only=True, expires_in_seconds=5)
    assert both.value.param == "expires_in_seconds"


def test_a_key_ends_when_it_expires(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web", expires_in_seconds=2)
    assert made.api_key.expires_at >= int(time.time())
    assert works(people, made.api_key.value)
    until(lambda: not works(people, made.api_key.value), 5.0, "the key to end")
    with pytest.raises(openai.BadRequestError) as refused:
        people.api.projects.api_keys.update(made.api_key.id, project_id=project_id, expires_in_seconds=60)
    assert refused.value.code == "key_expired"


def test_an_account_has_a_bounded_number_of_keys(people: People, project_id: str) -> None:
    accounts = people.api.projects.service_accounts
    made = accounts.create(project_id, name="web")
    keys = [accounts.api_keys.create(made.id, project_id=project_id).id for _ in range(19)]
    with pytest.raises(openai.BadRequestError) as refused:
        accounts.api_keys.create(made.id, project_id=project_id)
    assert refused.value.code == "too_many_keys"
    people.api.projects.api_keys.delete(keys[0], project_id=project_id)
    assert accounts.api_keys.create(made.id, project_id=project_id).id
    accounts.delete(made.id, project_id=project_id)


def test_scopes_are_refused_rather_than_ignored(people: People, project_id: str) -> None:
    made = people.api.projects.service_accounts.create(project_id, name="web")
    with pytest.raises(openai.BadRequestError) as refused:
        people.api.projects.api_keys.update(made.api_key.id, project_id=project_id, scopes=["api.all.read"])
    assert refused.value.param == "scopes"
