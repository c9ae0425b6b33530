"""The first owner's key: let in by its hash, replaced by a rotation, ended when a person has become owner."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.admin import items
from app.admin.bootstrap import USER_ID, admit, bootstrap_address, closing, first_showing
from app.admin.issue import issue, read, write
from app.admin.layout import organization_address
from app.admin.writes import Create
from app.keys import ADMIN_KEY_PREFIX, random_key
from tests.app.admin.people import People
from tests.app.conftest import PEPPER, TABLE, Aws
from tests.servers import until


@pytest.fixture
def organization_id() -> str:
    return f"org-{secrets.token_hex(4)}"


def let_in(aws: Aws, organization_id: str, key: str, **options: Any) -> bool:
    return admit(aws.client("dynamodb"), TABLE, PEPPER, key, organization_id, **options)


def works(people: People, key: str) -> bool:
    try:
        people.client(key).admin.organization.projects.create(name="By bootstrap")
    except openai.AuthenticationError:
        return False
    return True


def take_over(aws: Aws, organization_id: str) -> None:
    """As the acceptance of an invite does it."""
    client = aws.client("dynamodb")
    organization = read(client, TABLE, organization_address(organization_id))
    assert organization is not None
    user = items.new_user(organization_id, name="Owner", email="owner@example.com", role=items.OWNER)
    ended = closing(organization, read(client, TABLE, bootstrap_address(organization_id)))
    write(client, TABLE, [Create(user), *ended])


def test_the_bootstrap_key_is_an_owners(people: People, aws: Aws, organization_id: str) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, key)
    api = people.client(key).admin.organization
    assert api.projects.create(name="First").id
    [shown] = api.admin_api_keys.list()
    assert (shown.owner.id, shown.owner.role) == (USER_ID, "owner")
    assert [entry.type for entry in api.audit_logs.list()] == [
        "project.created",
        "api_key.created",
        "user.added",
    ]


def test_letting_it_in_again_changes_nothing(people: People, aws: Aws, organization_id: str) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    for _ in range(3):
        assert let_in(aws, organization_id, key)
    assert len(list(people.client(key).admin.organization.audit_logs.list())) == 2


def test_an_organization_that_has_keys_already_gets_one_too(
    people: People, aws: Aws, organization_id: str
) -> None:
    issue(
        aws.client("dynamodb"),
        TABLE,
        PEPPER,
        organization_id=organization_id,
        project_id=f"proj_{organization_id}",
        project_name="Before",
        key_name="key",
    )
    key = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, key)
    assert [one.name for one in people.client(key).admin.organization.projects.list()] == ["Before"]


def test_a_rotated_key_takes_the_place_of_the_former(people: People, aws: Aws, organization_id: str) -> None:
    former, new = random_key(ADMIN_KEY_PREFIX), random_key(ADMIN_KEY_PREFIX)
    let_in(aws, organization_id, former)
    assert works(people, former)
    let_in(aws, organization_id, new)
    assert works(people, new)
    assert not works(people, former)


def test_it_ends_when_a_person_has_become_owner_and_seeding_does_not_bring_it_back(
    people: People, aws: Aws, organization_id: str
) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    let_in(aws, organization_id, key)
    own = people.client(key).admin.organization.admin_api_keys.create(name="More").value
    assert works(people, own)
    take_over(aws, organization_id)
    assert not works(people, key)
    assert not works(people, own), "keys that it made end with it"
    assert not let_in(aws, organization_id, key)
    assert not let_in(aws, organization_id, random_key(ADMIN_KEY_PREFIX))
    assert not works(people, key)
    new = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, new, reopen=True)
    until(lambda: works(people, new), 5.0, "the reopened key")


def test_taking_over_twice_is_no_error(aws: Aws, organization_id: str) -> None:
    let_in(aws, organization_id, random_key(ADMIN_KEY_PREFIX))
    take_over(aws, organization_id)
    take_over(aws, organization_id)


def test_the_table_does_not_hold_the_key(aws: Aws, organization_id: str) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    let_in(aws, organization_id, key)
    assert key not in repr(aws.client("dynamodb").scan(TableName=TABLE)["Items"])


def test_it_may_be_shown_once_by_whichever_of_many_who_ask(aws: Aws, organization_id: str) -> None:
    client = aws.client("dynamodb")
    for _ in range(2):
        let_in(aws, organization_id, random_key(ADMIN_KEY_PREFIX))
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: first_showing(client, TABLE, organization_id), range(8)))
        assert sorted(told) == [False] * 7 + [True]


def test_what_is_not_let_in_is_not_shown(aws: Aws, organization_id: str) -> None:
    assert not first_showing(aws.client("dynamodb"), TABLE, organization_id)
