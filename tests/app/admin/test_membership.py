"""Roles by calls: what each kind of caller is answered by each call that is offered."""

import secrets
from collections.abc import Callable
from typing import Any

import openai
import pytest

from app.admin.call import Call
from app.admin.offered import CALLS
from tests.app.admin.examples import Example, example
from tests.app.admin.people import People
from tests.servers import until

YES = (200, None)
NO_KEY = (401, None)
WRONG = (401, "invalid_api_key")
MAY_NOT = (403, "insufficient_permissions")
NOT_THERE = (404, "not_found")

CALLERS = (
    "no key",
    "no such admin key",
    "no such key",
    "project key",
    "owner elsewhere",
    "reader",
    "owner of another project",
    "member",
    "owner of the project",
    "owner",
)
_NOBODY = (NO_KEY, WRONG, WRONG, MAY_NOT)

MATRIX = {
    "readers": (*_NOBODY, YES, YES, YES, YES, YES, YES),
    "owners": (*_NOBODY, YES, MAY_NOT, MAY_NOT, MAY_NOT, MAY_NOT, YES),
    "owners, of what is named": (*_NOBODY, NOT_THERE, MAY_NOT, MAY_NOT, MAY_NOT, MAY_NOT, YES),
    "readers, of what is named": (*_NOBODY, NOT_THERE, YES, YES, YES, YES, YES),
    "members of the project": (*_NOBODY, NOT_THERE, NOT_THERE, NOT_THERE, YES, YES, YES),
    "owners of the project": (*_NOBODY, NOT_THERE, NOT_THERE, NOT_THERE, MAY_NOT, YES, YES),
}
"""Rows are who a call is for, columns are the callers. An owner elsewhere is answered about elsewhere."""

FOR_OWNERS_OF_A_PROJECT = {
    "projects.update",
    "projects.users.create",
    "projects.users.update",
    "projects.users.delete",
    "projects.users.roles.create",
    "projects.users.roles.delete",
    "projects.service_accounts.create",
    "projects.service_accounts.update",
    "projects.service_accounts.delete",
    "projects.service_accounts.api_keys.create",
    "projects.api_keys.update",
    "projects.api_keys.delete",
}
FOR_OWNERS_THOUGH_THEY_ONLY_LOOK = {"invites.list", "invites.retrieve"}

EVERYWHERE_ALIKE = {"roles.retrieve"}
"""Predefined roles are not of any organization."""


@pytest.fixture
def other_project(people: People) -> str:
    return str(people.api.projects.create(name="Another").id)


def row(call: Call) -> tuple[tuple[int, str | None], ...]:
    named = call.who in ("owners", "readers") and "{" in call.path and call.sdk not in EVERYWHERE_ALIKE
    return MATRIX[f"{call.who}, of what is named" if named else call.who]


def in_project(people: People, project_id: str | None, role: Any) -> str:
    """The admin key of a reader who is in this project alone."""
    projects: dict[str, Any] = {} if project_id is None else {project_id: role}
    return people.add("reader", f"{secrets.token_hex(4)}@example.com", **projects)[1]


def owning(project_id: str) -> dict[str, Any]:
    return {project_id: "owner"}


def answer(request: Example, people: People, key: str | None) -> tuple[int, str | None]:
    got = request.sent(people, key)
    return got.status_code, got.json()["error"]["code"] if got.is_error else None


@pytest.mark.parametrize("call", CALLS, ids=[call.sdk for call in CALLS])
def test_each_caller_is_answered_as_their_role_has_it(
    call: Call, people: People, more_people: Callable[[], People], other_project: str
) -> None:
    request = example(call, people)
    keys = (
        None,
        "sk-admin-gw-" + "x" * 43,
        "sk-something-else",
        people.project_key(),
        more_people().owner_key,
        people.reader_key,
        in_project(people, other_project, "owner"),
        in_project(people, request.project_id, "member"),
        in_project(people, request.project_id, "owner"),
        people.owner_key,
    )
    for caller, key, expected in zip(CALLERS, keys, row(call), strict=True):
        # What an owner of a project has changed is not there to be changed by an owner of the organization.
        if caller == "owner" and call.who == "owners of the project":
            request = example(call, people)
        last = people.last_entry()
        assert (caller, *answer(request, people, key)) == (caller, *expected)
        changes = expected == YES and call.method != "GET" and caller != "owner elsewhere"
        assert (people.last_entry() != last) is changes, f"{caller}: what may not be changed, or was not"


@pytest.mark.parametrize(
    "call", [call for call in CALLS if "{" not in call.path], ids=lambda call: str(call.sdk)
)
def test_nothing_of_one_organization_or_project_is_shown_to_another(
    call: Call, people: People, more_people: Callable[[], People], other_project: str
) -> None:
    project = people.api.projects.create(name="Secret plan")
    people.api.projects.service_accounts.create(project.id, name="Secret account")
    people.add("reader", f"{secrets.token_hex(4)}@example.com", **owning(project.id))
    keys = {more_people().owner_key: True}
    if call.method == "GET":
        keys |= {people.reader_key: False, in_project(people, other_project, "owner"): False}
    for key, elsewhere in keys.items():
        got = example(call, people).sent(people, key)
        if got.status_code != 200:
            assert call.who == "owners"
            continue
        assert project.id not in got.text
        assert "Secret" not in got.text
        assert not elsewhere or people.organization_id not in got.text


def test_who_may_make_which_call_is_not_changed_by_accident() -> None:
    by_row: dict[str, set[str]] = {}
    for call in CALLS:
        by_row.setdefault(call.who, set()).add(call.sdk)
    assert by_row["owners of the project"] == FOR_OWNERS_OF_A_PROJECT
    looking = {call.sdk for call in CALLS if call.method == "GET"}
    assert by_row["owners"] & looking == FOR_OWNERS_THOUGH_THEY_ONLY_LOOK
    assert looking - FOR_OWNERS_THOUGH_THEY_ONLY_LOOK == by_row["readers"] | by_row["members of the project"]


def test_a_reader_lists_the_projects_they_are_in_and_no_others(people: People) -> None:
    mine, _ = (people.api.projects.create(name=name) for name in ("Mine", "Not mine"))
    api = people.client(in_project(people, mine.id, "member")).admin.organization
    assert [one.name for one in api.projects.list()] == ["Mine"]
    assert list(people.readers_api.projects.list()) == []
    people.api.projects.archive(mine.id)
    assert list(api.projects.list()) == []
    assert [one.name for one in api.projects.list(include_archived=True)] == ["Mine"]


def test_the_log_that_a_reader_sees_is_of_their_projects(people: People) -> None:
    mine, _ = (people.api.projects.create(name=name) for name in ("Mine", "Not mine"))
    people.api.invites.create(email="new@example.com", role="reader")
    people.api.projects.service_accounts.create(mine.id, name="web")
    api = people.client(in_project(people, mine.id, "member")).admin.organization
    assert [one.type for one in api.audit_logs.list()] == [
        "api_key.created",
        "service_account.created",
        "project.created",
    ]
    assert list(people.readers_api.audit_logs.list()) == []


def test_who_left_a_project_changes_nothing_there_from_that_moment_and_sees_nothing_within_5_s(
    people: People,
) -> None:
    project = people.api.projects.create(name="Left")
    user, key = people.add("reader", "leaving@example.com", **owning(project.id))
    api = people.client(key).admin.organization
    api.projects.update(project.id, name="By its owner")
    people.api.projects.users.delete(user["id"], project_id=project.id)
    with pytest.raises(openai.APIStatusError):
        api.projects.update(project.id, name="By who left")
    assert people.api.projects.retrieve(project.id).name == "By its owner"

    def gone() -> bool:
        try:
            api.projects.retrieve(project.id)
        except openai.NotFoundError:
            return True
        return False

    until(gone, 5.0, "the project to be out of sight")


def test_an_owner_of_a_project_who_was_made_a_member_does_not_make_themselves_owner_again(
    people: People,
) -> None:
    project = people.api.projects.create(name="Mine")
    user, key = people.add("reader", "former@example.com", **owning(project.id))
    users = people.client(key).admin.organization.projects.users
    assert users.retrieve(user["id"], project_id=project.id).role == "owner"
    people.api.projects.users.update(user["id"], project_id=project.id, role="member")
    with pytest.raises(openai.APIStatusError):
        users.update(user["id"], project_id=project.id, role="owner")
    assert people.api.projects.users.retrieve(user["id"], project_id=project.id).role == "member"


def test_an_admin_key_makes_no_model_requests(people: People) -> None:
    for key in (people.owner_key, people.reader_key):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            people.gateway.sdk(key).models.list()
        assert refused.value.code == "insufficient_permissions"


def test_the_header_of_another_organization_is_refused(
    people: People, more_people: Callable[[], People]
) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        people.client().with_options(
            organization=more_people().organization_id
        ).admin.organization.projects.list()
    assert refused.value.code == "mismatched_organization"
    mine = people.client().with_options(organization=people.organization_id)
    assert list(mine.admin.organization.projects.list()) == []
