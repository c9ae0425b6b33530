"""The values of the rotating secrets: what they may be, and that nothing of a wrong one is told."""

import json

import pytest

from app.secret_values import (
    BadSecretError,
    CacheUser,
    Deployment,
    parse_cache_user,
    parse_deployments,
)

KEY = "sk-hunter2"


def test_one_key_is_one_deployment_and_the_line_end_of_a_copied_one_is_dropped() -> None:
    assert parse_deployments(f" {KEY}\n") == (Deployment("openai", KEY, None, 1),)


def test_a_list_names_deployments_by_their_place_unless_they_have_a_name() -> None:
    text = json.dumps(
        [
            {"key": KEY},
            {"key": "sk-b", "base_url": "https://eu.example.com/v1/", "weight": 3, "name": "eu"},
        ]
    )
    assert parse_deployments(text) == (
        Deployment("1", KEY, None, 1),
        Deployment("eu", "sk-b", "https://eu.example.com/v1", 3),
    )


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "no value"),
        ("\n", "no value"),
        (f"{KEY} {KEY}", "without spaces"),
        (f"{KEY}\nsk-y", "without spaces"),
        (f"{KEY}-ü", "without spaces"),
        (f"[{KEY}]", "is not JSON"),
        ([], "1 to 100"),
        ([{"key": KEY}] * 101, "1 to 100"),
        ([KEY], "deployment 1"),
        ([{"key": KEY}, {"key": KEY, "region": KEY}], "deployment 2"),
        ([{"base_url": "https://hunter2.example.com"}], "deployment 1 of its list has no key"),
        ([{"key": f"{KEY} "}], "has no key"),
        ([{"key": KEY, "weight": 0}], "weight"),
        ([{"key": KEY, "weight": True}], "weight"),
        ([{"key": KEY, "weight": "1"}], "weight"),
        ([{"key": KEY, "name": "hunter2 hunter2"}], "name"),
        ([{"key": KEY, "name": "a"}, {"key": KEY, "name": "a"}], "same name"),
        ([{"key": KEY, "base_url": "http://hunter2.example.com"}], "https"),
        ([{"key": KEY, "base_url": 5}], "not a text"),
    ],
)
def test_a_wrong_value_says_what_it_must_be_and_nothing_of_itself(value: object, told: str) -> None:
    with pytest.raises(BadSecretError, match=told) as wrong:
        parse_deployments(value if isinstance(value, str) else json.dumps(value))
    assert "hunter2" not in str(wrong.value)


def test_nothing_of_a_key_is_in_the_repr() -> None:
    assert KEY not in repr(Deployment("openai", KEY))


def test_the_cache_user_is_json() -> None:
    user = parse_cache_user('{"username":"gateway","password":"hunter2","other":1}')
    assert user == CacheUser("gateway", "hunter2")
    assert "hunter2" not in repr(user)


@pytest.mark.parametrize(
    "text", ["", "hunter2", "[]", '{"username":"hunter2"}', '{"username":1,"password":"hunter2"}']
)
def test_a_wrong_cache_secret_says_what_it_must_be_and_nothing_of_itself(text: str) -> None:
    with pytest.raises(BadSecretError) as wrong:
        parse_cache_user(text)
    assert "hunter2" not in str(wrong.value)
