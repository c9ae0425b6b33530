"""`python -m app.admin`: what it shows, asks, changes, keeps, and says of what goes wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from app.admin import __main__ as program
from app.admin.document.carry_out import ChangedMeanwhileError, carry_out
from app.admin.document.door import Door
from app.admin.document.file import check
from app.admin.document.plan import GO, Plan, plan
from app.admin.document.state import read
from app.admin.layout import project_address
from app.limits import Limits
from infra.seed import SeedError
from tests.app.admin.document.command import Command, Said
from tests.app.admin.people import People
from tests.app.admin.test_rate_limits import limit
from tests.servers import ROOT, until


def door(people: People) -> Door:
    return Door(f"{people.gateway.url}/v1", people.owner_key)


def project(name: str, **sections: object) -> dict[str, Any]:
    return {"projects": [{"name": name, **sections}]}


def test_a_dry_run_shows_the_plan_and_changes_nothing(command: Command) -> None:
    people = command.people
    people.api.projects.create(name="Other")
    file = command.file(project("Web shop", service_accounts=[{"name": "web"}], settings={"cache_ttl_s": 60}))
    said = command.run("apply", file, "--dry-run")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "+ project Web shop",
        "    + service_accounts[web]: name web, role member",
        "    + settings[cache_ttl_s]: 60",
        "  project Other is not in the file and stays (--prune removes it)",
        "3 to create, 0 to update, 0 to remove",
    ]
    assert [one.name for one in people.api.projects.list()] == ["Other"]


def test_an_update_shows_each_field_as_it_is_and_will_be(command: Command) -> None:
    command.apply(project("A", settings={"cache_ttl_s": 60, "caps": {"n": 2, "max_tokens": 50}}))
    said = command.apply(project("A", settings={"cache_ttl_s": 90, "caps": {"n": 2, "max_tokens": 60}}))
    assert said.out.splitlines() == [
        "~ project A",
        "    ~ settings[cache_ttl_s]: 60 → 90",
        "    ~ settings[caps].max_tokens: 50 → 60",
        "0 to create, 2 to update, 0 to remove",
        "project A: done",
    ]
    assert command.export()["projects"][0]["settings"] == {
        "cache_ttl_s": 90,
        "caps": {"n": 2, "max_tokens": 60},
    }


def test_what_the_file_leaves_out_stays_and_what_is_empty_goes(command: Command) -> None:
    command.apply(project("A", settings={"cache_ttl_s": 60}))
    command.apply(project("A"))
    assert command.export()["projects"][0]["settings"] == {"cache_ttl_s": 60}
    command.apply(project("A", settings={}))
    assert command.export()["projects"][0]["settings"] == {}


def test_only_prune_takes_away_projects_accounts_and_people(command: Command) -> None:
    people = command.people
    command.apply(
        {
            "users": [{"email": "invited@example.com", "role": "reader"}],
            "projects": [
                {"name": "A", "service_accounts": [{"name": "web"}, {"name": "web"}]},
                {"name": "B"},
            ],
        }
    )
    less = {
        "users": [{"email": "owner@example.com", "role": "owner"}],
        "projects": [{"name": "A", "service_accounts": [{"name": "web"}]}],
    }
    kept = command.apply(less)
    assert kept.out.count("--prune removes it") == 4
    assert kept.out.endswith("no changes\n")
    gone = command.apply(less, "--prune")
    assert gone.code == 0, gone
    assert "- project B" in gone.out.splitlines()
    assert "    - service_accounts[web#2]: name web, role member" in gone.out.splitlines()
    assert [one.name for one in people.api.projects.list()] == ["A"]
    assert [one.status for one in people.api.projects.list(include_archived=True)] == ["active", "archived"]
    [shop] = people.api.projects.list()
    assert [one.name for one in people.api.projects.service_accounts.list(shop.id)] == ["web"]
    assert [one.email for one in people.api.users.list()] == ["owner@example.com"]
    assert list(people.api.invites.list()) == []


def test_who_is_none_yet_is_invited_and_the_link_is_shown_once(command: Command) -> None:
    wanted = {
        "users": [{"email": "new@example.com", "role": "reader", "projects": {"A": "member"}}],
        "projects": [{"name": "A"}],
    }
    said = command.apply(wanted)
    [told] = [line for line in said.out.splitlines() if "link" in line]
    assert told.startswith("new@example.com is invited; hand on this link")
    [invite] = command.people.api.invites.list()
    assert [(one.id, one.role) for one in invite.projects] == [
        (next(iter(command.people.api.projects.list())).id, "member")
    ]
    assert command.apply(wanted).out.endswith("no changes\n")
    promoted = command.apply({"users": [{"email": "new@example.com", "role": "owner"}]})
    assert "    ~ users[new@example.com].role: reader → owner" in promoted.out.splitlines()
    [again] = command.people.api.invites.list()
    assert (again.role, [one.role for one in again.projects]) == ("owner", ["member"])


def test_a_user_changes_role_and_projects(command: Command) -> None:
    people = command.people
    email, user_id = people.reader["email"], people.reader["id"]
    projects = [{"name": "A"}, {"name": "B"}]

    def roles(**wanted: str) -> dict[str, str]:
        said = command.apply(
            {"users": [{"email": email, "role": "reader", "projects": wanted}], "projects": projects}
        )
        assert said.code == 0, said
        return {one.name: one.role for one in people.api.users.retrieve(user_id).projects.data}

    assert roles(A="member") == {"A": "member"}
    assert roles(A="owner", B="member") == {"A": "owner", "B": "member"}
    assert roles(B="member") == {"B": "member"}
    assert command.apply({"users": [{"email": email, "role": "owner"}]}).code == 0
    user = people.api.users.retrieve(user_id)
    assert (user.role, [one.name for one in user.projects.data]) == ("owner", ["B"])


def test_a_project_with_an_id_is_renamed_and_a_name_of_two_needs_one(command: Command) -> None:
    people = command.people
    first, second = (people.api.projects.create(name="Same").id for _ in range(2))
    said = command.apply(project("Same"))
    assert said.code == 2
    assert said.err.startswith('projects[0].name="Same": 2 projects have this name.')
    assert f"Set projects[0].id to one of {first}, {second}." in said.err
    assert {one["id"] for one in command.export()["projects"]} == {first, second}
    exported = str(command.folder / "exported.yaml")
    assert command.run("export", "--output", exported).code == 0
    assert command.run("diff", exported, exported) == Said(0, "", "")
    said = command.apply(project("Mine", id=second))
    assert "    ~ name: Same → Mine" in said.out.splitlines()
    assert people.api.projects.retrieve(second).name == "Mine"
    assert command.apply(project("Mine")).out.endswith("no changes\n")
    said = command.apply(project("Mine", id="proj_none"))
    assert (said.code, said.err.partition(":")[0]) == (2, 'projects[0].id="proj_none"')


def test_what_users_are_in_must_be_there(command: Command) -> None:
    said = command.apply(
        {"users": [{"email": "a@example.com", "role": "reader", "projects": {"No": "owner"}}]}
    )
    assert (said.code, said.err.partition(":")[0]) == (2, "users[0].projects.No")


Change = Callable[[People, str], object]


@pytest.mark.parametrize(
    ("theirs", "what"),
    [
        (
            lambda people, made: people.ask(
                "POST", f"/organization/projects/{made}/settings", body={"settings": {"cache_ttl_s": 7}}
            ),
            "settings[cache_ttl_s] was changed by somebody else since the plan was made, and is now 7",
        ),
        (lambda people, made: people.api.projects.update(made, name="Theirs"), "is now Theirs"),
    ],
)
def test_what_somebody_else_has_changed_since_the_plan_is_not_overwritten(
    people: People, theirs: Change, what: str
) -> None:
    made = people.api.projects.create(name="A").id
    wanted = project("Renamed" if "Theirs" in what else "A", id=made, settings={"cache_ttl_s": 60})
    planned = plan(read(door(people)), check(wanted))
    theirs(people, made)
    before = people.log()
    with pytest.raises(ChangedMeanwhileError) as stopped:
        carry_out(door(people), planned, print)
    assert what in str(stopped.value)
    assert people.log() == before


def test_a_project_that_somebody_else_archived_is_not_archived_again(people: People) -> None:
    made = people.api.projects.create(name="A").id
    planned = plan(read(door(people)), check({"projects": []}), others=GO)
    people.api.projects.archive(made)
    with pytest.raises(ChangedMeanwhileError):
        carry_out(door(people), planned, print)


def test_what_changes_during_the_run_is_told_at_its_end(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(way: Door, planned: Plan, say: Callable[[str], None]) -> None:
        carry_out(way, planned, say)
        [made] = command.people.api.projects.list()
        command.people.api.projects.service_accounts.delete(
            next(iter(command.people.api.projects.service_accounts.list(made.id))).id, project_id=made.id
        )

    monkeypatch.setattr(program, "carry_out", disturbed)
    said = command.apply(project("A", service_accounts=[{"name": "web"}]))
    assert said.code == 1
    assert "somebody else has changed this at the same time: project A" in said.err


def test_nobody_is_asked_where_nobody_answers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    file = command.file(project("A"))
    for answer, code, made in (("n", 1, []), ("y", 0, ["A"])):
        monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _: True})())
        monkeypatch.setattr("builtins.input", lambda _, said=answer: said)
        assert command.run("apply", file).code == code
        assert [one.name for one in command.people.api.projects.list()] == made
    monkeypatch.setattr("sys.stdin", type("Pipe", (), {"isatty": lambda _: False})())
    said = command.run("apply", command.file(project("B")))
    assert (said.code, "--yes" in said.err) == (2, True)


def test_a_reader_exports_what_they_see_and_applies_nothing(command: Command) -> None:
    people = command.people
    reader = Command(people, command.folder, people.reader_key)
    seen, _ = (people.api.projects.create(name=name) for name in ("Seen", "Not seen"))
    people.api.projects.users.create(seen.id, role="member", user_id=people.reader["id"])
    people.api.invites.create(email="invited@example.com", role="reader")

    until(
        lambda: [one["name"] for one in reader.export()["projects"]] == ["Seen"],
        5.0,
        "the project to be seen",
    )
    assert [user["email"] for user in reader.export()["users"]] == ["owner@example.com", "reader@example.com"]
    log = len(people.log())
    said = reader.apply(project("A"))
    assert (said.code, "projects.create is for owners of the organization" in said.err) == (1, True)
    assert len(people.log()) == log


def test_a_file_of_problems_never_reaches_the_api(command: Command) -> None:
    said = command.apply({"projects": [{"name": ""}], "nonsense": 1})
    assert (said.code, len(said.err.splitlines()), said.out) == (2, 2, "")


def test_an_api_that_is_not_there_and_a_missing_address_are_said(command: Command) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OPENAI_BASE_URL", "OPENAI_ADMIN_KEY")
    }

    def run(**variables: str) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "app.admin", "export"],
            env={**environment, **variables},
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "sk-admin" not in ended.stdout + ended.stderr
        return ended.returncode, ended.stderr

    code, said = run()
    assert (code, "not set: OPENAI_BASE_URL and OPENAI_ADMIN_KEY" in said) == (2, True)
    code, said = run(OPENAI_BASE_URL="http://127.0.0.1:1/v1", OPENAI_ADMIN_KEY=command.people.owner_key)
    assert (code, "cannot be reached at http://127.0.0.1:1/" in said) == (1, True), said
    # A key for model requests in the environment is not what administers.
    code, said = run(
        OPENAI_BASE_URL=f"{command.people.gateway.url}/v1",
        OPENAI_ADMIN_KEY=command.people.owner_key,
        OPENAI_API_KEY="sk-of-models",
    )
    assert (code, said) == (0, "")


def test_a_stacks_name_finds_the_address_and_the_first_owners_key(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = command.people
    monkeypatch.setattr(
        "infra.seed.stack_outputs",
        lambda stack: {"base_url": f"{people.gateway.url}/v1", "region": "us-east-1", "stack": stack},
    )
    monkeypatch.setattr("infra.owner_key.owner_key", lambda *_: people.owner_key)
    monkeypatch.setattr(
        command.__class__, "variables", lambda _: {"OPENAI_BASE_URL": "", "OPENAI_ADMIN_KEY": ""}
    )
    people.api.projects.create(name="A")
    assert command.run("export", "--stack", "staging").document["projects"][0]["name"] == "A"

    def taken_over(*_: object) -> str:
        raise SeedError("an owner has taken over")

    monkeypatch.setattr("infra.owner_key.owner_key", taken_over)
    said = command.run("export", "--stack", "staging")
    assert (said.code, said.err) == (
        2,
        "an owner has taken over. An owner's own key does as well, in OPENAI_ADMIN_KEY.\n",
    )


def test_an_export_has_no_secret_and_goes_to_a_file_of_either_kind(command: Command) -> None:
    made = command.people.api.projects.create(name="A")
    key = command.people.api.projects.service_accounts.create(made.id, name="web").api_key
    for name in ("out.yaml", "out.json"):
        path = command.folder / name
        assert command.run("export", "--output", str(path)).code == 0
        text = path.read_text()
        assert key.value not in text
        assert "sk-" not in text
        assert (text[0] == "{") is name.endswith("json")
        assert command.run("apply", str(path), "--yes", "--prune").out == "no changes\n"
    assert json.loads((command.folder / "out.json").read_text())["projects"][0]["name"] == "A"


def test_more_projects_than_a_page_has_are_all_made_and_all_shown(command: Command) -> None:
    names = [f"Project {number:03}" for number in range(120)]
    assert command.apply({"projects": [{"name": name} for name in names]}).code == 0
    assert [one["name"] for one in command.export()["projects"]] == names


def test_limits_of_all_models_together_are_no_models_own(command: Command) -> None:
    people = command.people
    made = people.api.projects.create(name="A").id
    limit(people, project_address(made), Limits(requests_per_minute=500))
    assert command.export()["projects"][0]["rate_limits"] == []
    own = [{"model": "gpt-4o", "max_tokens_per_1_minute": 9000}]
    assert command.apply(project("A", rate_limits=own)).code == 0
    assert command.export()["projects"][0]["rate_limits"] == own
    for _ in range(2):
        said = command.apply(project("A", rate_limits=[]))
        assert said.code == 0, said
    assert said.out == "no changes\n"


def test_what_the_api_would_refuse_is_told_before_anything_is_changed(command: Command) -> None:
    people = command.people
    assert command.apply(project("A", service_accounts=[{"name": "web"}])).code == 0
    many = [{"name": f"P{number}"} for number in range(21)]
    users = [
        {"email": "new@example.com", "role": "reader", "projects": {one["name"]: "member" for one in many}}
    ]
    projects = [{"name": "A", "service_accounts": [{"name": "web", "role": "none"}]}, *many]
    log = len(people.log())
    said = command.apply({"users": users, "projects": projects})
    assert (said.code, said.out, len(people.log())) == (2, "", log)
    assert [line.partition(":")[0] for line in said.err.splitlines()] == [
        "users[new@example.com].projects",
        'projects[0].service_accounts[web].role="none"',
    ]
