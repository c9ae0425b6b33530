"""Fields of a body are set byte by byte: what was not named stays as it was written."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.members import with_members


def changed(body: bytes, **members: Any) -> bytes:
    return with_members(body, orjson.loads(body), members)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.just('"n":1,{[\\'),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5), values, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["n", "model", "stop", "é", 'quo"te', "max_tokens"]) | st.text(max_size=5)


@given(
    st.dictionaries(NAMES, JSON, max_size=6),
    st.dictionaries(NAMES, JSON, max_size=3),
    st.sampled_from([(",", ":"), (" ,\n", " :\t")]),
    st.booleans(),
)
def test_the_fields_named_are_set_and_the_others_stay(
    fields: dict[str, Any], changes: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    body = json.dumps(fields, separators=separators, ensure_ascii=ascii_only).encode()
    assert orjson.loads(with_members(body, fields, changes)) == {**fields, **changes}


REST = b'"big":123456789012345678901234567890, "x" : 1.50,"m":[{"model":"no","content":"\\"model\\":{"}]'


@pytest.mark.parametrize("value", [b'"old"', b"null", b'{"a":[1,"}"]}', b"12e1", b"[ ]", b'"a\\"b\\\\"'])
def test_a_value_is_replaced_in_its_place(value: bytes) -> None:
    body = b"\n{ " + REST + b',\t"model" : ' + value + b' ,"y":"\\u00e9" }\n'
    replaced = changed(body, model="new")
    assert replaced == b"\n{ " + REST + b',\t"model" : "new" ,"y":"\\u00e9" }\n'


def test_a_field_that_is_missing_is_put_first() -> None:
    assert changed(b" {" + REST + b"}", stop=["é"], n=2) == (' {"n":2,"stop":["é"],'.encode() + REST + b"}")
    assert changed(b"{ }", n=2) == b'{"n":2 }'


def test_a_name_that_is_spelled_with_escapes_is_the_same_name() -> None:
    assert changed(b'{"mod\\u0065l":"a"}', model="b") == b'{"mod\\u0065l":"b"}'


def test_a_field_that_comes_twice_is_set_twice() -> None:
    assert changed(b'{"stop":1,"n":0,"stop":[2]}', stop="x") == b'{"stop":"x","n":0,"stop":"x"}'


def test_a_name_that_only_looks_like_the_field_is_left_alone() -> None:
    body = b'{"mod\\u0065l":"a","tools":[{"model":"a"}]}'
    assert changed(body, model="b") == b'{"mod\\u0065l":"b","tools":[{"model":"a"}]}'


def test_a_field_that_has_the_value_already_changes_nothing() -> None:
    body = b'{"model":"b","n":1}'
    assert changed(body, model="b") is body
