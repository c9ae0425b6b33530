"""The order of a plan: what takes the right to change things from whoever asks comes after all of it."""

from typing import Any

import pytest

from app.admin.bootstrap import admit, is_bootstrap
from app.admin.document.door import Door
from app.keys import ADMIN_KEY_PREFIX, random_key
from tests.app.admin.document.command import Command, Said
from tests.app.conftest import PEPPER, TABLE

SECOND = {"email": "second@example.com", "role": "owner"}
OWNER, READER = "owner@example.com", "reader@example.com"


@pytest.fixture
def second(command: Command) -> Any:
    """Another owner, a reader whose address comes late, and projects; the API as the owner has it."""
    people = command.people
    _, key = people.add("owner", SECOND["email"])
    people.add("reader", "zoe@example.com")
    for name in ("Kept", "Gone"):
        people.api.projects.create(name=name)
    return people.client(key).admin.organization


def there(api: Any) -> dict[str | None, str | None]:
    """Roles by address, after them active projects."""
    users = {user.email: user.role for user in api.users.list()}
    return users | dict.fromkeys((project.name for project in api.projects.list()), "active")


def last_lines(said: Said) -> list[str]:
    """What the plan shows last, and what was done."""
    lines = said.out.splitlines()
    return lines[[", last: " in line for line in lines].index(True) :]


def test_who_prunes_themselves_is_gone_last_of_all(command: Command, second: Any) -> None:
    said = command.apply({"users": [SECOND], "projects": [{"name": "Kept"}]}, "--prune")
    assert said.code == 0, said
    assert there(second) == {SECOND["email"]: "owner", "Kept": "active"}
    assert last_lines(said) == [
        "~ organization, last: whoever asks can change nothing more after it",
        f"    - users[{OWNER}]: role owner, projects {{}}",
        "0 to create, 0 to update, 4 to remove",
        "project Gone: done",
        "organization: done",
        "organization: done",
    ]


def test_who_makes_themselves_a_reader_does_so_last_of_all(command: Command, second: Any) -> None:
    users = [SECOND, {"email": OWNER, "role": "reader", "projects": {"New": "member"}}]
    said = command.apply({"users": users, "projects": [{"name": "Kept"}, {"name": "New"}]}, "--prune")
    assert said.code == 0, said
    assert there(second) == {
        SECOND["email"]: "owner",
        OWNER: "reader",
        "Kept": "active",
        "New": "active",
    }
    [me] = second.users.list(emails=[OWNER])
    assert [(one.name, one.role) for one in me.projects.data] == [("New", "member")]


def test_the_last_owner_stays_when_all_else_is_done(command: Command) -> None:
    people = command.people
    made = people.api.projects.create(name="Gone")
    said = command.apply({"users": [{"email": OWNER, "role": "reader"}], "projects": []}, "--prune")
    assert (said.code, "This is the organization's last owner" in said.err) == (1, True)
    assert people.api.projects.retrieve(made.id).status == "archived"
    assert there(people.api) == {OWNER: "owner"}


@pytest.fixture
def bootstrap(command: Command) -> Command:
    """The same organization, asked with the first owner's key."""
    people = command.people
    key = random_key(ADMIN_KEY_PREFIX)
    admit(people.aws.client("dynamodb"), TABLE, PEPPER, key, people.organization_id)
    return Command(people, command.folder, key)


def test_the_first_owners_key_ends_when_all_else_is_done(bootstrap: Command, second: Any) -> None:
    users: list[dict[str, Any]] = [SECOND, {"email": READER, "role": "owner", "projects": {"New": "member"}}]
    said = bootstrap.apply({"users": users, "projects": [{"name": "Kept"}, {"name": "New"}]}, "--prune")
    assert said.code == 0, said
    people = {SECOND["email"]: "owner", READER: "owner"}
    assert there(second) == {**people, "Kept": "active", "New": "active"}
    assert not any(is_bootstrap(user.id) for user in second.users.list())
    assert last_lines(said)[0] == "~ organization, last: the first owner's key, which asks, ends with it"


def test_the_first_owners_key_makes_one_owner(bootstrap: Command, second: Any) -> None:
    users = [{"email": email, "role": "owner"} for email in (READER, "zoe@example.com")]
    said = bootstrap.apply({"users": users})
    assert said.code == 2
    assert said.err.startswith(
        'users[zoe@example.com].role="owner": the first owner\'s key, which asks, ends'
    )
    assert there(second)[READER] == "reader"


def test_a_list_that_follows_a_change_late_is_looked_at_again(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an index of DynamoDB does."""
    listed = Door.all
    looks: dict[str, int] = {}

    def late(door: Door, path: str, **query: Any) -> Any:
        for one in listed(door, path, **query):
            looks[one["id"]] = looks.get(one["id"], 0) + 1
            if looks[one["id"]] > 2 or not path.endswith(("/projects", "/invites")):
                yield one

    monkeypatch.setattr(Door, "all", late)
    user = {"email": "new@example.com", "role": "reader", "projects": {"A": "member"}}
    said = command.apply({"users": [user], "projects": [{"name": "A"}]})
    assert (said.code, said.err) == (0, "")
    [invite] = command.people.api.invites.list()
    assert len(invite.projects) == 1


def test_a_renamed_project_is_the_same_place_by_either_word(command: Command) -> None:
    people = command.people
    made = people.api.projects.create(name="Old")
    people.api.projects.users.create(made.id, role="member", user_id=people.reader["id"])
    for word in ("New", made.id):
        users = [{"email": READER, "role": "reader", "projects": {word: "owner"}}]
        wanted = {"users": users, "projects": [{"name": "New", "id": made.id}]}
        assert command.apply(wanted).code == 0
        assert command.apply(wanted).out.endswith("no changes\n")
        assert people.api.projects.users.retrieve(people.reader["id"], project_id=made.id).role == "owner"
    both = {"email": READER, "role": "reader", "projects": {"New": "owner", made.id: "member"}}
    said = command.apply({"users": [both], "projects": [{"name": "New", "id": made.id}]})
    assert (said.code, "there twice" in said.err) == (2, True)


def test_nobody_is_put_into_a_project_that_goes(command: Command) -> None:
    people = command.people
    made = people.api.projects.create(name="Gone")
    people.api.projects.users.create(made.id, role="member", user_id=people.reader["id"])
    keeping = {"email": READER, "role": "reader", "projects": {"Gone": "owner"}}
    said = command.apply({"users": [keeping], "projects": []}, "--prune")
    assert (said.code, said.err.partition(":")[0]) == (2, "users[0].projects.Gone")
    owner = {"email": OWNER, "role": "owner"}
    said = command.apply({"users": [owner, {"email": READER, "role": "reader"}], "projects": []}, "--prune")
    assert (said.code, said.err) == (0, "")
    assert there(people.api) == {OWNER: "owner", READER: "reader"}
