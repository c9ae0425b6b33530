"""Admin keys through the SDK: whose they are, what they let in, and when they end."""

import openai
import pytest

from tests.app.admin.people import People
from tests.servers import until


def test_an_owner_makes_a_key_that_acts_as_the_owner(people: People) -> None:
    keys = people.api.admin_api_keys
    made = keys.create(name="CI")
    assert made.value.startswith("sk-admin-gw-")
    assert made.redacted_value == f"sk-…{made.value[-4:]}"
    assert (made.owner.id, made.owner.role) == (people.owner["id"], "owner")
    assert people.client(made.value).admin.organization.projects.create(name="By CI").id
    found = keys.retrieve(made.id)
    assert (found.name, found.redacted_value) == ("CI", made.redacted_value)
    assert next(one.id for one in keys.list(order="desc")) == made.id
    assert [one.name for one in keys.list()] == ["owner's key", "reader's key", "CI"]
    assert people.log()[1]["actor"]["api_key"]["id"] == made.id


def test_a_deleted_key_changes_nothing_from_that_moment_and_sees_nothing_within_5_s(people: People) -> None:
    made = people.api.admin_api_keys.create(name="short")
    gone = people.client(made.value).admin.organization
    assert gone.projects.create(name="Before")
    people.api.admin_api_keys.delete(made.id)
    with pytest.raises(openai.AuthenticationError):
        gone.projects.create(name="After")

    def refused() -> bool:
        try:
            gone.projects.list()
        except openai.AuthenticationError:
            return True
        return False

    until(refused, 5.0, "the key to be refused")
    assert [one.name for one in people.api.projects.list()] == ["Before"]


def test_a_key_may_delete_itself(people: People) -> None:
    [mine] = [one for one in people.api.admin_api_keys.list() if one.owner.id == people.owner["id"]]
    assert people.api.admin_api_keys.delete(mine.id).deleted


def test_an_admin_key_ends_when_it_expires(people: People) -> None:
    made = people.api.admin_api_keys.create(name="short", expires_in_seconds=2)
    short = people.client(made.value).admin.organization
    assert list(short.projects.list()) == []

    def refused() -> bool:
        try:
            short.projects.list()
        except openai.AuthenticationError:
            return True
        return False

    until(refused, 5.0, "the key to end")
