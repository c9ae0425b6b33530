"""Predefined roles through the SDK, and their assignment to users."""

from app.admin.call import OF_PROJECT
from app.admin.offered import CALLS
from app.admin.roles import PROJECT
from tests.app.admin.people import People, refused

OWNER, READER = "role-organization-owner", "role-organization-reader"
PROJECT_OWNER, PROJECT_MEMBER = "role-project-owner", "role-project-member"


def test_roles_are_predefined_and_listed_page_by_page(people: People) -> None:
    project = people.api.projects.create(name="Shop")
    roles, of_project = people.api.roles, people.api.projects.roles
    for limit in (1, 2, 1000):
        assert [one.id for one in roles.list(limit=limit)] == [OWNER, READER]
        assert [one.id for one in roles.list(limit=limit, order="desc")] == [READER, OWNER]
        assert [one.id for one in of_project.list(project.id, limit=limit)] == [PROJECT_MEMBER, PROJECT_OWNER]
    assert all(one.predefined_role for one in roles.list())
    assert (roles.retrieve(OWNER).name, roles.retrieve(OWNER).resource_type) == ("owner", "api.organization")
    assert of_project.retrieve(PROJECT_MEMBER, project_id=project.id).name == "member"
    assert refused(lambda: roles.retrieve(PROJECT_OWNER)).status_code == 404


def test_the_role_of_a_projects_owner_says_what_its_calls_let_them_change() -> None:
    words = {
        "projects": "name",
        "projects.users": "members",
        "projects.users.roles": "members",
        "projects.service_accounts": "service accounts",
        "projects.service_accounts.api_keys": "keys",
        "projects.api_keys": "keys",
    }
    changed = {words[call.sdk.rpartition(".")[0]] for call in CALLS if call.role == OF_PROJECT}
    [owner] = [role for role in PROJECT if role["id"] == PROJECT_OWNER]
    told = owner["description"].partition("changes its ")[2].replace(" and ", ", ").split(", ")
    assert set(told) == changed


def test_own_roles_are_not_offered_and_the_caller_is_told_why(people: People) -> None:
    own = refused(lambda: people.api.roles.create(role_name="auditor", permissions=[]))
    assert own.code == "not_offered"
    assert "Roles are predefined" in own.message


def test_a_role_of_the_organization_is_assigned_and_taken_away(people: People) -> None:
    roles, reader = people.api.users.roles, people.reader["id"]
    given = roles.create(reader, role_id=OWNER)
    assert (given.role.id, given.user.id, given.user.role) == (OWNER, reader, "owner")
    assert [one.id for one in roles.list(reader)] == [OWNER]
    assert roles.retrieve(OWNER, user_id=reader).name == "owner"
    assert refused(lambda: roles.retrieve(READER, user_id=reader)).status_code == 404
    assert roles.delete(OWNER, user_id=reader).deleted
    assert [one.id for one in roles.list(reader)] == [READER]
    assert refused(lambda: roles.delete(READER, user_id=reader)).code == "last_role"
    assert refused(lambda: roles.delete(OWNER, user_id=reader)).status_code == 404
    created, deleted = people.log()
    assert (created["type"], deleted["type"]) == ("role.assignment.created", "role.assignment.deleted")
    told = created["role.assignment.created"]
    assert (told["principal_id"], told["resource_id"]) == (reader, people.organization_id)
    assert told["after"] == {"role": "owner"}


def test_a_role_in_a_project_is_assigned_and_taken_away_and_the_last_ends_the_place_there(
    people: People,
) -> None:
    project = people.api.projects.create(name="Shop")
    roles, reader = people.api.projects.users.roles, people.reader["id"]
    assert roles.create(reader, project_id=project.id, role_id=PROJECT_OWNER).role.id == PROJECT_OWNER
    assert [one.id for one in roles.list(reader, project_id=project.id)] == [PROJECT_OWNER]
    assert roles.retrieve(PROJECT_OWNER, project_id=project.id, user_id=reader).name == "owner"
    assert roles.delete(PROJECT_OWNER, project_id=project.id, user_id=reader).deleted
    assert people.api.projects.users.retrieve(reader, project_id=project.id).role == "member"
    assert roles.delete(PROJECT_MEMBER, project_id=project.id, user_id=reader).deleted
    assert list(people.api.projects.users.list(project.id)) == []
    assert refused(lambda: roles.list(reader, project_id=project.id)).status_code == 404
    log = people.log()[1:]
    assert [entry["type"].removeprefix("role.assignment.") for entry in log] == [
        "created",
        "deleted",
        "deleted",
    ]
    assert {entry["project"]["id"] for entry in log} == {project.id}
