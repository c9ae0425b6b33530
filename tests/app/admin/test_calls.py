"""Every call of the SDK is either answered or refused by name, and the docs say which."""

import re
from pathlib import Path

import openai
import pytest

from app.admin.administration import Routes
from app.admin.call import Call
from app.admin.not_offered import NOT_OFFERED, NotOffered
from app.admin.offered import CALLS
from app.errors import ApiError
from offline.administration import current
from tests.app.admin.people import People
from tests.app.admin.sdk_calls import sdk_calls

EVERY: tuple[Call | NotOffered, ...] = (*CALLS, *NOT_OFFERED)


def wire(name: str, method: str, path: str) -> tuple[str, str, str]:
    """A call, whatever the ids of its path are called."""
    return name, method, re.sub(r"\{\w+\}", "{}", path)


def test_no_call_of_the_sdk_is_missing_and_none_is_invented() -> None:
    ours = {call.sdk for call in CALLS if call.ours}
    assert {wire(call.sdk, call.method, call.path) for call in EVERY if call.sdk not in ours} == {
        wire(call.name, call.method, call.path) for call in sdk_calls()
    }
    assert len({call.sdk for call in EVERY}) == len(EVERY)
    assert ours == {"projects.settings.retrieve", "projects.settings.update"}


def test_the_docs_list_every_call_as_it_is() -> None:
    found, wanted = current()
    assert found == wanted, "run: make docs"


def test_a_call_that_is_not_offered_says_so_by_name_and_is_not_asked_again(people: People) -> None:
    asking = people.client().with_options(max_retries=2)
    with pytest.raises(openai.NotFoundError) as refused:
        asking.admin.organization.certificates.list()
    assert refused.value.code == "not_offered"
    assert refused.value.message.count("certificates.list is not offered") == 1
    with pytest.raises(openai.NotFoundError) as deep:
        asking.admin.organization.projects.groups.roles.list("group_1", project_id="proj_1")
    assert "projects.groups.roles.list is not offered" in deep.value.message


def test_a_path_that_is_none_and_a_method_that_is_none_are_refused() -> None:
    routes = Routes(EVERY)
    for method, path, status in (
        ("GET", "/v1/organization/nothing", 404),
        ("GET", "/v1/organization/projects/", 404),
        ("GET", "/v1/organization/projects/a/b/c/d/e/f", 404),
        ("GET", "/v1/organization/projects/" + "x" * 201, 404),
        ("PUT", "/v1/organization/projects", 405),
    ):
        with pytest.raises(ApiError) as refused:
            routes.find(method, path)
        assert refused.value.status == status


def test_two_calls_of_one_path_and_method_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="there twice"):
        Routes((CALLS[0], CALLS[0]))


def test_the_documented_layout_names_every_kind_of_item() -> None:
    text = (Path(__file__).parents[3] / "app/admin/layout.py").read_text()
    table = text.partition('"""')[2].partition('"""')[0]
    for kind in re.findall(r'f?"((?:[A-Z]+_?)+)#\{', text):
        assert f"`{kind}#" in table
