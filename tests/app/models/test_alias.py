"""Names that stand for models, as people write them."""

import pytest

from app.models.alias import Alias, AliasesError, parse_aliases


def test_a_name_stands_for_a_model_a_list_or_what_an_object_says() -> None:
    text = (
        '{"fast": "gpt-5-mini", "best": ["gpt-5", "gpt-4.1"], "gpt-4o": {"models": ["gpt-4o", "gpt-4.1"],'
        ' "order": "fastest", "first_byte_within_s": 3}}'
    )
    assert parse_aliases(text) == {
        "fast": Alias(models=("gpt-5-mini",)),
        "best": Alias(models=("gpt-5", "gpt-4.1")),
        "gpt-4o": Alias(models=("gpt-4o", "gpt-4.1"), order="fastest", first_byte_within_s=3),
    }
    assert parse_aliases("{}") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fast", "is not JSON"),
        ("[]", "Input should be an object"),
        ('{"a b": "c"}', "a b.[key]: "),
        ('{"a": []}', "a.models: Value should have at least 1 item"),
        ('{"a": ["b", "b"]}', "a.models: names a model twice"),
        ('{"a": {"models": ["b"], "order": "random"}}', "a.order: Input should be 'given', 'cheapest' or"),
        ('{"a": {"models": ["b"], "first_byte_within_s": 0}}', "a.first_byte_within_s: "),
        ('{"a": {"models": ["b"], "fallback": ["c"]}}', "a.fallback: Extra inputs"),
        ('{"a": "b", "b": "c"}', "a names b, which is an alias itself"),
    ],
)
def test_what_is_wrong_is_named(text: str, problem: str) -> None:
    with pytest.raises(AliasesError) as wrong:
        parse_aliases(text)
    assert str(wrong.value).startswith(problem)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(AliasesError, match=r"^a.models: .*; b.order: .*; c: "):
        parse_aliases('{"a": [], "b": {"models": ["x"], "order": 1}, "c": 5}')


def test_a_model_may_be_the_name_of_those_that_stand_in_for_it() -> None:
    assert parse_aliases('{"best": "gpt-5", "gpt-5": ["gpt-5", "gpt-4.1"]}').keys() == {"best", "gpt-5"}
