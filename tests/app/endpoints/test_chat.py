"""Which chat requests are refused before anything is spent on them, which pass, what bounds their tokens."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.endpoints import CHAT_COMPLETIONS, ApiRequest
from app.endpoints.bounds import IMAGE_TOKENS
from app.errors import ApiError

GOOD: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


def checked(body: bytes) -> ApiRequest | ApiError:
    try:
        return CHAT_COMPLETIONS.parse(body)
    except ApiError as refused:
        return refused


def refusal(body: bytes) -> ApiError:
    with pytest.raises(ApiError) as refused:
        CHAT_COMPLETIONS.parse(body)
    assert refused.value.status == 400
    assert refused.value.kind == "invalid_request_error"
    return refused.value


@pytest.mark.parametrize(("audio", "is_kept"), [(None, False), ({"id": "audio_1"}, True)])
def test_what_the_model_said_is_kept_by_one_account(audio: dict[str, Any] | None, is_kept: bool) -> None:
    spoken = {"role": "assistant", "audio": audio}
    body = json.dumps({**GOOD, "messages": [*GOOD["messages"], spoken]}).encode()
    assert CHAT_COMPLETIONS.is_kept(CHAT_COMPLETIONS.parse(body)) == is_kept


def test_the_body_is_kept_byte_for_byte() -> None:
    body = (
        b' {"model" : "gpt-4o-mini", "top_p":0.50,"messages":[{"role":"user","content":"\\u00e9"}],"x":{}} '
    )
    request = CHAT_COMPLETIONS.parse(body)
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
    CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, **change}))


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


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"temperature": 0}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": 0.1}, False),
        ({"temperature": None}, False),
        ({"seed": 7}, True),
        ({"seed": 0}, True),
        ({"seed": 7, "store": True}, False),
        ({"seed": 7, "web_search_options": {}}, False),
        ({"seed": 7, "model": "gpt-5-search-api"}, False),
    ],
)
def test_only_repeatable_requests_are_kept(fields: dict[str, Any], expected: bool) -> None:
    request = CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, **fields}))
    assert CHAT_COMPLETIONS.is_repeatable(request) is expected


@pytest.mark.parametrize(
    ("change", "answers", "bound"),
    [
        ({}, 1, None),
        ({"n": 3}, 3, None),
        ({"max_tokens": 10}, 1, 10),
        ({"max_completion_tokens": 10.0, "n": 2}, 2, 20),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 1, 20),
    ],
)
def test_what_the_answers_can_have_at_most(change: dict[str, Any], answers: int, bound: int | None) -> None:
    request = CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, **change}))
    assert (request.answers, request.answer_bound_tokens) == (answers, bound)


def test_a_predicted_output_counts_as_much_again() -> None:
    prediction = {"type": "content", "content": "x" * 1000}
    request = CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, "max_tokens": 5, "prediction": prediction}))
    assert request.answer_bound_tokens
    assert request.answer_bound_tokens >= 1005


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=50), min_size=1, max_size=5), st.booleans())
def test_a_prompt_has_no_more_tokens_than_its_bound(texts: list[str], ascii_only: bool) -> None:
    asked = {**GOOD, "messages": [{"role": "user", "content": text} for text in texts]}
    body = json.dumps(asked, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    outcome = checked(body)
    if isinstance(outcome, ApiRequest):
        assert outcome.prompt_bound_tokens
        # A token has one byte or more; a message has up to four more, an answer's beginning three.
        assert outcome.prompt_bound_tokens >= 3 + sum(4 + len(text.encode()) for text in texts)


def test_an_image_has_a_constant_however_it_is_sent() -> None:
    def bound(url: str) -> int:
        parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        body = orjson.dumps({**GOOD, "messages": [{"role": "user", "content": parts}]})
        bound = CHAT_COMPLETIONS.parse(body).prompt_bound_tokens
        assert bound
        return bound

    short, long = bound("https://example.com/a.png"), bound("data:image/png;base64," + "A" * 1_000_000)
    assert short == long
    assert IMAGE_TOKENS < short < IMAGE_TOKENS + 1000


@pytest.mark.parametrize(
    "change",
    [
        {"web_search_options": {}},
        {"model": "gpt-4o-search-preview"},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        {"messages": [*GOOD["messages"], {"role": "assistant", "audio": {"id": "audio_1"}}]},
    ],
)
def test_texts_from_elsewhere_leave_only_the_models_own_bound(change: dict[str, Any]) -> None:
    assert CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, **change})).prompt_bound_tokens is None


@pytest.mark.parametrize(
    ("change", "unbounded_param"),
    [
        ({}, None),
        ({"web_search_options": {}}, "web_search_options"),
        ({"model": "gpt-4o-search-preview"}, "model"),
        ({"model": "GPT-4o-mini-search-preview-2025-03-11"}, "model"),
        ({"model": "gpt-5-search-api-2025-10-14"}, "model"),
        ({"model": "ft:gpt-4o-mini-2024-07-18:acme:job-search-api:abc"}, None),
    ],
)
def test_what_searches_the_web_for_a_fee_is_told(change: dict[str, Any], unbounded_param: str | None) -> None:
    request = CHAT_COMPLETIONS.parse(orjson.dumps({**GOOD, **change}))
    assert request.unbounded_param == unbounded_param


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://example.com/a.png", False),
        ("HTTP://example.com/a.png", False),
        ("data:image/png;base64,AAAA", True),
        ("DATA:image/png;base64,AAAA", True),
    ],
)
def test_an_answer_about_an_image_is_kept_only_when_the_request_holds_the_image(
    url: str, expected: bool
) -> None:
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    asked = {**GOOD, "temperature": 0, "messages": [*GOOD["messages"], {"role": "user", "content": parts}]}
    request = CHAT_COMPLETIONS.parse(orjson.dumps(asked))
    assert CHAT_COMPLETIONS.is_repeatable(request) is expected
    assert CHAT_COMPLETIONS.is_pure(request) is expected
