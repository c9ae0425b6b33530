"""What is refused before anything is spent on it, and that the rest passes."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ApiError
from app.validate import ChatRequest, chat_request

GOOD: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


def checked(body: bytes) -> ChatRequest | ApiError:
    try:
        return chat_request(body)
    except ApiError as refused:
        return refused


def refusal(body: bytes) -> ApiError:
    with pytest.raises(ApiError) as refused:
        chat_request(body)
    assert refused.value.status == 400
    assert refused.value.kind == "invalid_request_error"
    return refused.value


def test_the_body_is_kept_byte_for_byte() -> None:
    body = (
        b' {"model" : "gpt-4o-mini", "top_p":0.50,"messages":[{"role":"user","content":"\\u00e9"}],"x":{}} '
    )
    request = chat_request(body)
    assert request.body is body
    assert (request.model, request.stream, request.include_usage) == ("gpt-4o-mini", False, False)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 4}, "model", "invalid_type"),
        ({"model": " "}, "model", "invalid_value"),
        ({"model": "m" * 300}, "model", "invalid_value"),
        ({"model": "gpt\n4"}, "model", "invalid_value"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": {}}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": 1, "content": "hi"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [GOOD["messages"][0], {"role": "user", "content": [{"text": "x"}]}]},
            "messages[1].content[0].type",
            "missing_required_parameter",
        ),
        ({"messages": [GOOD["messages"][0]] * 5000}, "messages", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"stream": True, "stream_options": []}, "stream_options", "invalid_type"),
        (
            {"stream": True, "stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
            "invalid_type",
        ),
        ({"temperature": "0"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"top_p": -0.1}, "top_p", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"max_completion_tokens": 2**63}, "max_completion_tokens", "invalid_value"),
        ({"seed": 1e300}, "seed", "invalid_value"),
        ({"stop": ["a", 1]}, "stop[1]", "invalid_type"),
        ({"metadata": "x"}, "metadata", "invalid_type"),
        ({"tools": {}}, "tools", "invalid_type"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], param: str, code: str) -> None:
    refused = refusal(orjson.dumps({**GOOD, **change}))
    assert (refused.param, refused.code) == (param, code)
    assert param in refused.message


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": None, "stream": None, "stop": None, "n": 1.0},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"stop": "x", "seed": -(2**63), "metadata": {"a": "b"}},
        {"anything_new": [{"deep": 1}]},
        {"messages": [{"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
)
def test_what_openai_takes_passes(change: dict[str, Any]) -> None:
    chat_request(orjson.dumps({**GOOD, **change}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b'{"model": NaN}',
        b'{"model": 1e999}',
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'\xef\xbb\xbf{"model": "m"}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 1_000_000,
        b'{"model": "m"',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
field_names = st.sampled_from(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "n",
        "stop",
        "seed",
        "max_tokens",
        "tools",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(field_names, json_values, max_size=4), st.booleans())
def test_any_json_is_either_accepted_or_refused_with_a_field(change: dict[str, Any], complete: bool) -> None:
    body = json.dumps({**(GOOD if complete else {}), **change}).encode()
    outcome = checked(body)
    if isinstance(outcome, ApiError):
        assert outcome.status == 400
        assert outcome.param or outcome.code == "invalid_json"
        assert orjson.loads(outcome.body())["error"]["message"]
    else:
        assert outcome.body == body


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body: bytes) -> None:
    refusal(body)
