"""Which requests have one form and one name."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.cache.canonical import canonical, fingerprint

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=5)


def shuffled(value: Any, chooser: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, chooser)) for key, inner in value.items()]
        chooser.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(inner, chooser) for inner in value]
    return value


def form(body: bytes) -> bytes:
    return canonical(body, orjson.loads(body))


@settings(max_examples=150, deadline=None)
@given(objects, st.randoms(use_true_random=False))
def test_spelling_does_not_matter(value: dict[str, Any], chooser: random.Random) -> None:
    one = json.dumps(value).encode()
    other = json.dumps(shuffled(value, chooser), indent=2, ensure_ascii=False).encode()
    # Numbers of 16 digits and more are compared as they are written, and so is everything around them.
    if form(one) != one:
        assert form(one) == form(other)


@settings(max_examples=200, deadline=None)
@given(objects, objects)
def test_different_requests_never_share_a_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    assert (form(json.dumps(one).encode()) == form(json.dumps(other).encode())) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"seed":18446744073709551617}', b'{"seed":18446744073709551618}'),
        (b'{"p":0.10000000000000000555}', b'{"p":0.1}'),
        (b'{"a":1}', b'{"a":true}'),
        (b'{"a":[1,2]}', b'{"a":[2,1]}'),
        (b'{"a":"1"}', b'{"a":1}'),
    ],
)
def test_what_a_parser_would_blur_stays_apart(one: bytes, other: bytes) -> None:
    assert form(one) != form(other)


def test_what_is_too_deep_to_be_written_again_is_compared_as_it_is() -> None:
    deep = b'{"a":' * 1000 + b"1" + b"}" * 1000
    assert form(deep) == deep
    assert form(b" " + deep) != form(deep)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_parts_never_run_together(one: list[str], other: list[str]) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)
