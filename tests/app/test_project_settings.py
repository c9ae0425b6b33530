"""What a project has chosen, as the table records it."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.caps import Caps
from app.owners import parse_owners
from app.project_settings import (
    DEFAULT_SETTINGS,
    LONGEST_CACHE_TTL_S,
    ProjectSettings,
    ProjectSettingsError,
    check_settings,
    parse_settings,
    settings_attribute,
)

PROJECT = {"sk": {"S": "PROJECT"}, "status": {"S": "active"}}


@given(
    st.builds(
        ProjectSettings,
        cache_ttl_s=st.none() | st.integers(0, LONGEST_CACHE_TTL_S),
        cache_all=st.booleans(),
        cache_shared=st.booleans(),
    )
)
def test_settings_come_back_as_they_were_recorded(settings: ProjectSettings) -> None:
    assert parse_settings(settings_attribute(settings)) == settings


def test_a_project_that_has_chosen_nothing_has_what_the_stack_has() -> None:
    assert parse_settings({}) == DEFAULT_SETTINGS
    assert settings_attribute(DEFAULT_SETTINGS) == {}


def test_a_field_of_a_later_release_is_passed_over() -> None:
    text = '{"cache_all": true, "of_tomorrow": {"a": 1}}'
    assert parse_settings({"settings": {"S": text}}) == ProjectSettings(cache_all=True)


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{", '{"cache_all": "yes"}', '{"cache_ttl_s": -1}', '{"cache_ttl_s": 99999999}'],
)
def test_damaged_settings_damage_the_projects_item(text: str) -> None:
    with pytest.raises(ValueError, match="ProjectSettings"):
        parse_owners([{**PROJECT, "settings": {"S": text}}], None)


def test_settings_belong_to_the_owners_of_a_key() -> None:
    chosen = ProjectSettings(cache_ttl_s=5, cache_shared=True)
    owners = parse_owners([{**PROJECT, **settings_attribute(chosen)}], None)
    assert owners is not None
    assert owners.settings == chosen


CHOSEN = {
    "model_permissions": {"mode": "allow_list", "model_ids": ["gpt-5-mini", "gpt-4.1"]},
    "model_aliases": {"fast": "gpt-5-mini", "best": {"models": ["gpt-5", "gpt-4.1"], "order": "cheapest"}},
    "default_model": "fast",
    "caps": {
        "max_tokens": 1000,
        "default_max_tokens": 300,
        "stop": 1,
        "default_stop": ["END"],
        "timeout_s": 30,
    },
}


def test_what_a_person_writes_is_recorded_and_comes_back() -> None:
    settings = check_settings(CHOSEN)
    assert settings.caps.default_max_tokens == 300
    assert settings.model_aliases["fast"].models == ("gpt-5-mini",)
    assert parse_settings(settings_attribute(settings)) == settings


def test_all_that_is_wrong_is_said_at_once_with_field_value_reason_and_remedy() -> None:
    with pytest.raises(ProjectSettingsError) as wrong:
        check_settings(
            {
                "caps": {"max_tokens": 5, "n": True, "per_day": 1, "stop": 0, "default_stop": ["x"]},
                "model_permissions": {"mode": "all", "model_ids": ["a b"]},
                "model_aliases": {"fast": {"models": ["a"], "order": "random"}},
                "default_model": "",
                "chache_ttl_s": 3,
            }
        )
    assert {problem.partition(":")[0] for problem in wrong.value.problems} == {
        "settings.caps.max_tokens=5",
        "settings.caps.n=true",
        "settings.caps.per_day",
        'settings.caps.default_stop=["x"]',
        'settings.model_permissions.mode="all"',
        'settings.model_permissions.model_ids[0]="a b"',
        'settings.model_aliases.fast.order="random"',
        'settings.default_model=""',
        "settings.chache_ttl_s",
    }
    assert (
        "settings.model_aliases.fast.order=\"random\": input should be 'given', 'cheapest' or 'fastest'. "
        "Set it to given, cheapest or fastest."
    ) in wrong.value.problems
    assert (
        'settings.caps.default_stop=["x"]: is above the cap of stop, which is 0. '
        "Set it to a list of up to 4 texts."
    ) in wrong.value.problems
    assert "settings.chache_ttl_s: there is no such setting. Leave it out." in wrong.value.problems


def test_a_default_above_its_cap_is_refused() -> None:
    with pytest.raises(ProjectSettingsError, match="default_max_tokens=30: is above the cap of max_tokens"):
        check_settings({"caps": {"max_tokens": 20, "default_max_tokens": 30}})


def test_the_example_of_the_docs_is_accepted() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    [example] = re.findall(r"^settings = (\{.*?^\})$", text, re.DOTALL | re.MULTILINE)
    assert check_settings(ast.literal_eval(example)).default_model == "best"


def test_every_cap_stands_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    assert [name for name in Caps.model_fields if f"`{name}`" not in text] == []
