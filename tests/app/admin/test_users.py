"""Users through the SDK: who is there, in which role, and that a person who is owner always remains."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from app.admin.bootstrap import admit, is_bootstrap
from app.keys import ADMIN_KEY_PREFIX, random_key
from tests.app.admin.people import People, refused
from tests.app.admin.test_concurrency import at_once
from tests.app.conftest import PEPPER, TABLE, Gateway
from tests.servers import until


def owners(people: People) -> list[str]:
    """By the reader, who stays."""
    return [user.id for user in people.readers_api.users.list() if user.role == "owner"]


def locked_out(api: Any) -> bool:
    try:
        api.users.list()
    except openai.AuthenticationError:
        return True
    return False


def test_users_are_listed_and_found_by_their_addresses(people: People) -> None:
    users = people.api.users
    assert [(one.email, one.role) for one in users.list(limit=1)] == [
        ("owner@example.com", "owner"),
        ("reader@example.com", "reader"),
    ]
    found = users.list(emails=["Reader@Example.com", "nobody@example.com"])
    assert [one.id for one in found] == [people.reader["id"]]
    one = users.retrieve(people.reader["id"])
    assert (one.name, one.added_at, one.projects.data) == ("A reader", people.reader["added_at"], [])


def test_a_user_is_shown_with_the_projects_that_the_viewer_sees(people: People) -> None:
    mine, other = (people.api.projects.create(name=name) for name in ("Mine", "Other"))

    def view(key: str) -> Any:
        return people.client(key).admin.organization

    both: dict[str, Any] = {mine.id: "member", other.id: "owner"}
    user, _ = people.add("reader", "both@example.com", **both)
    one: dict[str, Any] = {mine.id: "member"}
    _, key = people.add("reader", "one@example.com", **one)
    seen: Any = people.api.users.retrieve(user["id"]).projects.data
    assert [(one.name, one.role) for one in seen] == [("Mine", "member"), ("Other", "owner")]
    seen = view(key).users.retrieve(user["id"]).projects.data
    assert [one.name for one in seen] == ["Mine"]
    assert people.readers_api.users.retrieve(user["id"]).projects.data == []


def test_a_changed_role_is_logged_and_felt_within_5_s(people: People) -> None:
    changed = people.api.users.update(people.reader["id"], role="owner")
    assert changed.role == "owner"
    assert people.api.users.update(people.reader["id"], role_id="role-organization-owner").role == "owner"
    [entry] = people.log()
    assert entry["type"] == "user.updated"
    told = entry["user.updated"]
    assert (told["before"], told["after"]) == ({"role": "reader"}, {"role": "owner"})

    def may() -> bool:
        try:
            people.readers_api.projects.create(name="By a new owner")
        except openai.PermissionDeniedError:
            return False
        return True

    until(may, 5.0, "the new role to be seen")


def test_a_role_that_is_none_and_two_that_differ_are_refused(people: People) -> None:
    reader = people.reader["id"]
    unknown = refused(lambda: people.api.users.update(reader, role="boss"))
    assert (unknown.status_code, unknown.param) == (400, "role")
    missing = refused(lambda: people.api.users.update(reader, role_id="role-boss"))
    assert (missing.status_code, missing.param) == (404, "role_id")
    differ = refused(
        lambda: people.api.users.update(reader, role="reader", role_id="role-organization-owner")
    )
    assert differ.param == "role_id"
    assert people.log() == []


def test_a_deleted_users_keys_end_within_5_s_and_their_address_is_free(people: People) -> None:
    user, key = people.add("owner", "leaving@example.com")
    leaving = people.client(key).admin.organization
    leaving.projects.create(name="Before")
    assert people.api.users.delete(user["id"]).deleted
    assert refused(lambda: leaving.projects.create(name="After")).status_code == 401
    until(lambda: locked_out(leaving), 5.0, "the keys to end")
    assert [entry["type"] for entry in people.log()] == ["project.created", "user.deleted", "api_key.deleted"]
    assert user["id"] not in {one.owner.id for one in people.api.admin_api_keys.list()}
    assert refused(lambda: people.api.users.retrieve(user["id"])).status_code == 404
    assert people.add("reader", "leaving@example.com")


def test_the_last_owner_stays_one_and_may_leave_when_there_is_another(people: People) -> None:
    me = people.owner["id"]
    for attempt in (
        lambda: people.api.users.delete(me),
        lambda: people.api.users.update(me, role="reader"),
        lambda: people.api.users.roles.delete("role-organization-owner", user_id=me),
        lambda: people.api.users.roles.create(me, role_id="role-organization-reader"),
    ):
        assert refused(attempt).code == "last_owner"
    assert people.log() == []
    people.add("owner", "second@example.com")
    assert people.api.users.update(me, role="reader").role == "reader"


@pytest.mark.parametrize("attempt", range(5))
def test_of_owners_who_remove_each_other_one_stays(
    attempt: int, people: People, second_gateway: Gateway
) -> None:
    others = [people.add("owner", f"{number}@example.com") for number in range(2 + attempt % 2)]
    ring = [(people.owner, people.owner_key), *others]
    urls = (people.gateway.url, second_gateway.url)

    def removal(number: int) -> Callable[[], Any]:
        api = people.client(ring[number][1], url=urls[number % 2]).admin.organization
        victim = ring[(number + 1) % len(ring)][0]["id"]
        if (number + attempt) % 2:
            return lambda: api.users.delete(victim)
        return lambda: api.users.update(victim, role="reader")

    at_once(*map(removal, range(len(ring))))
    assert len(owners(people)) >= 1


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_owners_who_both_leave_at_once_one_stays(
    attempt: int, people: People, second_gateway: Gateway
) -> None:
    second, second_key = people.add("owner", f"{attempt}@example.com")
    one = people.api
    other = people.client(second_key, url=second_gateway.url).admin.organization
    left = at_once(lambda: one.users.delete(people.owner["id"]), lambda: other.users.delete(second["id"]))
    assert len(owners(people)) == 1
    assert sum(isinstance(outcome, openai.APIStatusError) for outcome in left) == 1


def test_an_owner_who_was_made_a_reader_does_not_make_themselves_owner_again(people: People) -> None:
    user, key = people.add("owner", "former@example.com")
    former = people.client(key).admin.organization
    assert former.users.retrieve(user["id"]).role == "owner"
    people.api.users.update(user["id"], role="reader")
    # The replica still takes them for an owner.
    assert refused(lambda: former.users.update(user["id"], role="owner")).status_code == 401
    assert people.api.users.retrieve(user["id"]).role == "reader"


def bootstrapped(people: People) -> Any:
    key = random_key(ADMIN_KEY_PREFIX)
    admit(people.aws.client("dynamodb"), TABLE, PEPPER, key, people.organization_id)
    return people.client(key).admin.organization


def test_the_bootstrap_ends_when_a_person_is_made_owner(people: People) -> None:
    api = bootstrapped(people)
    assert api.users.update(people.reader["id"], role="owner").role == "owner"
    assert refused(lambda: api.projects.create(name="After")).status_code == 401
    assert not any(is_bootstrap(user.id) for user in people.api.users.list())
    assert [entry["type"] for entry in people.log()][-2:] == ["user.updated", "user.deleted"]
    key = random_key(ADMIN_KEY_PREFIX)
    again = admit(people.aws.client("dynamodb"), TABLE, PEPPER, key, people.organization_id)
    assert again == "taken over"


def test_the_bootstrap_user_is_no_person_who_could_remain(people: People) -> None:
    api = bootstrapped(people)
    assert refused(lambda: api.users.delete(people.owner["id"])).code == "last_owner"
    assert refused(lambda: people.api.users.delete(people.owner["id"])).code == "last_owner"
    [bootstrap] = [user.id for user in people.api.users.list() if is_bootstrap(user.id)]
    assert refused(lambda: people.api.users.update(bootstrap, role="reader")).code == "bootstrap_user"
    assert people.api.users.delete(bootstrap).deleted
    assert owners(people) == [people.owner["id"]]
    key = random_key(ADMIN_KEY_PREFIX)
    again = admit(people.aws.client("dynamodb"), TABLE, PEPPER, key, people.organization_id)
    assert again == "taken over"
