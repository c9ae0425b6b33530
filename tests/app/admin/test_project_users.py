"""Users of a project through the SDK."""

from typing import Any

from tests.app.admin.people import People, refused
from tests.app.admin.test_concurrency import at_once


def test_a_user_comes_into_a_project_changes_role_and_leaves(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    users, reader = people.api.projects.users, people.reader["id"]
    added = users.create(project.id, role="member", user_id=reader)
    assert (added.id, added.role, added.email) == (reader, "member", "reader@example.com")
    changed = users.update(reader, project_id=project.id, role="owner")
    assert (changed.role, changed.added_at) == ("owner", added.added_at)
    assert users.retrieve(reader, project_id=project.id).role == "owner"
    assert [one.id for one in users.list(project.id)] == [reader]
    assert users.delete(reader, project_id=project.id).deleted
    assert list(users.list(project.id)) == []
    assert refused(lambda: users.retrieve(reader, project_id=project.id)).status_code == 404
    log = people.log()[1:]
    assert [entry["type"] for entry in log] == ["user.added", "user.updated", "user.deleted"]
    assert {entry["project"]["id"] for entry in log} == {project.id}
    assert log[1]["user.updated"]["after"] == {"role": "owner"}


def test_a_user_is_named_by_id_or_by_address(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    users = people.api.projects.users
    assert users.create(project.id, role="member", email="Reader@example.com").id == people.reader["id"]
    again = refused(lambda: users.create(project.id, role="owner", email="reader@example.com"))
    assert (again.code, again.param) == ("already_member", "email")
    nobody = refused(lambda: users.create(project.id, role="owner", email="nobody@example.com"))
    assert (nobody.status_code, nobody.param) == (404, "email")
    neither = refused(lambda: users.create(project.id, role="owner"))
    assert (neither.code, neither.param) == ("missing_required_parameter", "user_id")
    boss = refused(lambda: users.create(project.id, role="boss", user_id=people.owner["id"]))
    assert (boss.status_code, boss.param) == (400, "role")


def test_nobody_is_let_into_an_archived_project(people: People) -> None:
    project = people.api.projects.create(name="Over")
    people.api.projects.archive(project.id)
    late = refused(
        lambda: people.api.projects.users.create(project.id, role="member", user_id=people.reader["id"])
    )
    assert late.code == "project_archived"


def test_the_list_of_a_projects_users_is_paged(people: People) -> None:
    project, other = (people.api.projects.create(name=name) for name in ("Paged", "Other"))
    for number in range(5):
        inside: dict[str, Any] = {project.id: "member"}
        people.add("reader", f"in-{number}@example.com", **inside)
        outside: dict[str, Any] = {other.id: "member"}
        people.add("reader", f"out-{number}@example.com", **outside)
    listed = [one.email for one in people.api.projects.users.list(project.id, limit=2)]
    assert listed == [f"in-{number}@example.com" for number in range(5)]


def test_one_user_let_into_many_projects_at_once_is_in_all_of_them(people: People) -> None:
    projects = [people.api.projects.create(name=f"Number {number}").id for number in range(4)]
    reader = people.reader["id"]
    let_in = [
        lambda project=project: people.api.projects.users.create(project, role="member", user_id=reader)
        for project in projects
    ]
    for outcome in at_once(*let_in):
        assert not isinstance(outcome, Exception), outcome
    assert {one.id for one in people.api.users.retrieve(reader).projects.data} == set(projects)


def test_an_owner_of_a_project_manages_it_and_lets_others_in(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    owning: dict[str, Any] = {project.id: "owner"}
    user, key = people.add("reader", "lead@example.com", **owning)
    api: Any = people.client(key).admin.organization
    account = api.projects.service_accounts.create(project.id, name="web")
    api.projects.api_keys.delete(account.api_key.id, project_id=project.id)
    assert api.projects.users.create(project.id, role="member", user_id=people.reader["id"]).id
    assert api.projects.update(project.id, name="Web shop").name == "Web shop"
    assert refused(lambda: api.projects.archive(project.id)).status_code == 403
    assert refused(lambda: api.projects.create(name="More")).status_code == 403
    assert {entry["actor"]["api_key"]["user"]["id"] for entry in people.log()[1:]} == {user["id"]}
