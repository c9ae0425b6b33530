"""What a project has chosen, as the table records it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.owners import parse_owners
from app.project_settings import (
    DEFAULT_SETTINGS,
    LONGEST_CACHE_TTL_S,
    ProjectSettings,
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
