"""The first owner's key: let in by its hash, replaced by a rotation, ended when a person has become owner."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from app.admin import items
from app.admin.bootstrap import Admission, admit, bootstrap_address, closing, first_showing, is_bootstrap
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


def let_in(aws: Aws, organization_id: str, key: str, **options: Any) -> Admission:
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
    address = bootstrap_address(organization)
    ended = closing(organization, read(client, TABLE, address) if address else None)
    write(client, TABLE, [Create(user), *ended])


def test_the_bootstrap_key_is_an_owners(people: People, aws: Aws, organization_id: str) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, key) == "let in"
    api = people.client(key).admin.organization
    assert api.projects.create(name="First").id
    [shown] = api.admin_api_keys.list()
    assert (is_bootstrap(str(shown.owner.id)), shown.owner.role) == (True, "owner")
    assert [entry.type for entry in api.audit_logs.list()] == [
        "project.created",
        "api_key.created",
        "user.added",
    ]


def test_letting_it_in_again_changes_nothing(people: People, aws: Aws, organization_id: str) -> None:
    key = random_key(ADMIN_KEY_PREFIX)
    for _ in range(3):
        assert let_in(aws, organization_id, key) == "let in"
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
    assert let_in(aws, organization_id, key) == "let in"
    assert [one.name for one in people.client(key).admin.organization.projects.list()] == ["Before"]


def test_a_rotated_key_takes_the_place_of_the_former(people: People, aws: Aws, organization_id: str) -> None:
    former, new = random_key(ADMIN_KEY_PREFIX), random_key(ADMIN_KEY_PREFIX)
    let_in(aws, organization_id, former)
    made = people.client(former).admin.organization.admin_api_keys.create(name="More").value
    assert works(people, made)
    let_in(aws, organization_id, new)
    assert works(people, new)
    assert not works(people, former)
    assert not works(people, made), "keys that it made end with it"
    entries = list(people.client(new).admin.organization.audit_logs.list())
    assert [entry.type for entry in entries[1:4]] == ["api_key.created", "user.added", "user.deleted"]


def test_a_key_that_was_deleted_stays_out_until_another_takes_its_place(
    people: People, aws: Aws, organization_id: str
) -> None:
    leaked = random_key(ADMIN_KEY_PREFIX)
    let_in(aws, organization_id, leaked)
    api = people.client(leaked).admin.organization
    [known] = api.admin_api_keys.list()
    own = api.admin_api_keys.create(name="Instead").value
    people.client(own).admin.organization.admin_api_keys.delete(known.id)
    assert let_in(aws, organization_id, leaked) == "deleted"
    assert not works(people, leaked)
    assert works(people, own)
    new = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, new) == "let in"
    assert works(people, new)


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
    for again in (key, random_key(ADMIN_KEY_PREFIX)):
        assert let_in(aws, organization_id, again) == "taken over"
    assert not works(people, key)
    new = random_key(ADMIN_KEY_PREFIX)
    assert let_in(aws, organization_id, new, reopen=True) == "let in"
    until(lambda: works(people, new), 5.0, "the reopened key")
    assert not works(people, key), "reopening lets in one key"
    assert not works(people, own), "and none that a former one made"


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
