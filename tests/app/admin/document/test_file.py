"""The file: every problem at once, each with its path, and amounts that stay exact."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.admin.document.file import FileError, Organization, check, dump, load
from app.admin.document.plan import DIFFER, plan, whole
from app.admin.document.sections import cents, dollars
from app.admin.document.state import of_file
from app.admin.spend_alerts import MAX_ALERTS, MAX_PREFIX_CHARACTERS, MAX_RECIPIENTS
from tests.app.admin.document.documents import Document, canonical, documents


def problems(written: object) -> list[str]:
    with pytest.raises(FileError) as refused:
        check(written)
    return list(refused.value.problems)


def paths(written: object) -> list[str]:
    return sorted(problem.partition(":")[0].partition("=")[0] for problem in problems(written))


def test_every_problem_is_named_at_once() -> None:
    project = {
        "name": "A",
        "spend_limit_usd": 1.005,
        "rate_limits": [{"model": "gpt-5", "max_requests_per_1_minute": -1}],
        "settings": {"caps": {"n": 0}, "nope": 1, "model_permissions": {"mode": "allow_list"}},
        "model_permissions": {"mode": "some", "model_ids": []},
        "spend_alerts": [{"threshold_usd": 0, "recipients": []}],
    }
    written = {
        "spend_limit_usd": "lots",
        "spend_alert": [],
        "users": [{"email": "nobody", "role": "boss"}],
        "projects": [{"nmae": "x"}, project],
    }
    assert paths(written) == [
        "projects[0].name",
        "projects[0].nmae",
        "projects[1].model_permissions.mode",
        "projects[1].rate_limits[0].max_requests_per_1_minute",
        "projects[1].settings.caps.n",
        "projects[1].settings.model_permissions",
        "projects[1].settings.nope",
        "projects[1].spend_alerts[0].recipients",
        "projects[1].spend_alerts[0].threshold_usd",
        "projects[1].spend_limit_usd",
        "spend_alert",
        "spend_limit_usd",
        "users[0].email",
        "users[0].role",
    ]
    [problem] = problems({"spend_limit_usd": "lots"})
    assert problem == (
        'spend_limit_usd="lots": is no amount of dollars and cents from 0 to 1000000000. Set it to an amount '
        'such as "50.00", or null for no limit.'
    )


def test_addresses_alerts_and_recipients_are_bounded_as_the_api_bounds_them() -> None:
    alert = {"threshold_usd": "1.00", "recipients": ["a@example.com"]}
    alerts: list[dict[str, Any]] = [
        {**alert, "recipients": ["a@b..c"]},
        {**alert, "recipients": [f"{number}@example.com" for number in range(MAX_RECIPIENTS + 1)]},
        {**alert, "subject_prefix": "x" * (MAX_PREFIX_CHARACTERS + 1)},
        {**alert, "subject_prefix": "[é]"},
    ]
    emails = ("x@y@w.q", "a@" + "x" * 260 + ".com", "a b@example.com")
    written = {
        "spend_alerts": alerts,
        "users": [{"email": email, "role": "reader"} for email in emails],
        "projects": [{"name": "A", "spend_alerts": [alert] * (MAX_ALERTS + 1)}],
    }
    assert paths(written) == [
        "projects[0].spend_alerts",
        "spend_alerts[0].recipients[0]",
        "spend_alerts[1].recipients",
        "spend_alerts[2].subject_prefix",
        "spend_alerts[3].subject_prefix",
        "users[0].email",
        "users[1].email",
        "users[2].email",
    ]
    most = {**alert, "subject_prefix": "x" * MAX_PREFIX_CHARACTERS}
    check({"spend_alerts": [most] * MAX_ALERTS})


def test_what_may_be_there_once_is_refused_twice() -> None:
    user = {"email": "a@example.com", "role": "reader"}
    limit = {"model": "gpt-5", "max_requests_per_1_minute": 1}
    projects: list[dict[str, Any]] = [{"name": "A"}, {"name": "A", "rate_limits": [limit, limit]}]
    told = problems({"users": [user, {**user, "email": "A@Example.com"}], "projects": projects})
    assert [problem.partition(":")[0] for problem in told] == [
        'projects[].name="A"',
        'users[].email="a@example.com"',
        'projects[1].rate_limits[].model="gpt-5"',
    ]
    check({"projects": [{"name": "A", "id": "proj_1"}, {"name": "A", "id": "proj_2"}]})


@pytest.mark.parametrize("written", [None, [], "text", 7])
def test_what_is_no_object_is_refused(written: object) -> None:
    [problem] = problems(written)
    assert "no object" in problem


def test_a_file_that_is_not_there_or_no_yaml_is_refused_by_its_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("projects: [")
    for path in (tmp_path / "none.yaml", broken, tmp_path):
        with pytest.raises(FileError, match=path.name):
            load(path)


@pytest.mark.parametrize("text", ["12.5", "'12.50'", "12.50", "1.25e1"])
def test_an_amount_may_be_written_as_text_or_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"spend_limit_usd: {text}")
    assert load(path).spend_limit_usd == "12.50"


@pytest.mark.parametrize("value", [True, "", "nan", "inf", -1, "1.001", 0.005, "1e30", [], {}])
def test_what_is_no_amount_is_refused(value: object) -> None:
    assert paths({"spend_limit_usd": value}) == ["spend_limit_usd"]


@given(st.integers(0, 10**15))
def test_amounts_are_exact_to_the_cent(amount: int) -> None:
    assert cents(dollars(amount)) == amount
    assert Decimal(dollars(amount)) * 100 == amount


@given(documents())
def test_a_file_that_was_written_is_read_as_it_was(document: Document) -> None:
    for as_json in (False, True):
        assert yaml.safe_load(dump(document, as_json=as_json)) == document
    assert canonical(of_file(check(document)).document()) == canonical(document)


@given(documents(), documents())
def test_files_differ_in_nothing_exactly_when_they_say_the_same(one: Document, other: Document) -> None:
    first, second = whole(check(one)), whole(check(other))
    assert plan(of_file(first), first, others=DIFFER).targets == ()
    differences = plan(of_file(first), second, others=DIFFER)
    assert bool(differences.targets) is (canonical(one) != canonical(other))
    assert bool(list(differences.lines())) is bool(differences.targets)


@given(documents())
def test_projects_of_one_name_are_compared_by_their_ids(document: Document) -> None:
    ids = {project["name"]: f"proj_{number}" for number, project in enumerate(document["projects"])}
    for project in document["projects"]:
        project |= {"id": ids[project["name"]], "name": "Same"}
    for user in document["users"]:
        user["projects"] = {ids[name]: role for name, role in user["projects"].items()}
    first = whole(check(document))
    assert plan(of_file(first), first, others=DIFFER).targets == ()
    document["projects"].reverse()
    second = whole(check(document))
    assert plan(of_file(first), second, others=DIFFER).targets == ()


def test_projects_whose_ids_differ_are_compared_by_name() -> None:
    def file(prefix: str, *limits: str) -> Organization:
        projects = [
            {"name": "Same", "id": f"{prefix}_{number}", "spend_limit_usd": limit}
            for number, limit in enumerate(limits)
        ]
        places = {f"{prefix}_0": "member"}
        return whole(
            check({"users": [{"email": "a@b.c", "role": "reader", "projects": places}], "projects": projects})
        )

    staging, prod = file("proj_s", "1.00", "2.00"), file("proj_p", "1.00", "3.00")
    assert list(plan(of_file(staging), prod, others=DIFFER).lines()) == [
        "~ project Same",
        "    ~ spend_limit_usd: 2.00 → 3.00",
    ]
