"""Requests to responses, completions, embeddings and moderations: refusals, bounds, what may be kept."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.endpoints import (
    COMPLETIONS,
    EMBEDDINGS,
    ENDPOINTS,
    MODERATIONS,
    RESPONSES,
    ApiRequest,
    Endpoint,
)
from app.endpoints.bounds import IMAGE_TOKENS
from app.errors import ApiError

GOOD: dict[Endpoint, dict[str, Any]] = {
    RESPONSES: {"model": "gpt-4o-mini", "input": "hello"},
    COMPLETIONS: {"model": "gpt-3.5-turbo-instruct", "prompt": "hello"},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": "hello"},
    MODERATIONS: {"model": "omni-moderation-latest", "input": "hello"},
}
USER = {"role": "user", "content": "hello"}


def parsed(endpoint: Endpoint, **change: Any) -> ApiRequest:
    return endpoint.parse(orjson.dumps({**GOOD[endpoint], **change}))


@pytest.mark.parametrize(
    ("endpoint", "change", "param", "code"),
    [
        (RESPONSES, {"model": None}, "model", "missing_required_parameter"),
        (RESPONSES, {"input": None}, "input", "missing_required_parameter"),
        (RESPONSES, {"input": []}, "input", "empty_array"),
        (RESPONSES, {"input": 7}, "input", "invalid_type"),
        (RESPONSES, {"input": ["x"]}, "input[0]", "invalid_type"),
        (RESPONSES, {"input": [USER, {"content": "x"}]}, "input[1].role", "missing_required_parameter"),
        (RESPONSES, {"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        (RESPONSES, {"input": [{"role": "user", "content": 1}]}, "input[0].content", "invalid_type"),
        (
            RESPONSES,
            {"input": [{"role": "user", "content": [{}]}]},
            "input[0].content[0].type",
            "missing_required_parameter",
        ),
        (RESPONSES, {"input": [{"type": 5}]}, "input[0].type", "invalid_type"),
        (RESPONSES, {"input": [USER] * 5000}, "input", "invalid_value"),
        (RESPONSES, {"instructions": 5}, "instructions", "invalid_type"),
        (RESPONSES, {"background": True}, "background", "unsupported_value"),
        (RESPONSES, {"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        (RESPONSES, {"stream_options": {}}, "stream_options", "invalid_value"),
        (RESPONSES, {"tools": [{}]}, "tools[0].type", "missing_required_parameter"),
        (RESPONSES, {"tools": [{"type": "function"}, 1]}, "tools[1]", "invalid_type"),
        (RESPONSES, {"temperature": 3}, "temperature", "invalid_value"),
        (COMPLETIONS, {"model": ""}, "model", "invalid_value"),
        (COMPLETIONS, {"prompt": 5}, "prompt", "invalid_type"),
        (COMPLETIONS, {"prompt": []}, "prompt", "empty_array"),
        (COMPLETIONS, {"prompt": ["x", 1]}, "prompt[1]", "invalid_type"),
        (COMPLETIONS, {"prompt": [1, "x"]}, "prompt[1]", "invalid_type"),
        (COMPLETIONS, {"prompt": [[1], [1.5]]}, "prompt[1][0]", "invalid_type"),
        (COMPLETIONS, {"prompt": [[1], []]}, "prompt[1]", "empty_array"),
        (COMPLETIONS, {"prompt": [True]}, "prompt[0]", "invalid_type"),
        (COMPLETIONS, {"prompt": [None]}, "prompt[0]", "invalid_type"),
        (COMPLETIONS, {"best_of": 21}, "best_of", "invalid_value"),
        (COMPLETIONS, {"logprobs": 6}, "logprobs", "invalid_value"),
        (COMPLETIONS, {"max_tokens": -1}, "max_tokens", "invalid_value"),
        (COMPLETIONS, {"stream_options": {}}, "stream_options", "invalid_value"),
        (COMPLETIONS, {"suffix": 1}, "suffix", "invalid_type"),
        (EMBEDDINGS, {"input": None}, "input", "missing_required_parameter"),
        (EMBEDDINGS, {"input": ""}, "input", "invalid_value"),
        (EMBEDDINGS, {"input": ["x", ""]}, "input[1]", "invalid_value"),
        (EMBEDDINGS, {"input": []}, "input", "empty_array"),
        (EMBEDDINGS, {"input": [[]]}, "input[0]", "empty_array"),
        (EMBEDDINGS, {"input": [-1]}, "input[0]", "invalid_value"),
        (EMBEDDINGS, {"input": {}}, "input", "invalid_type"),
        (EMBEDDINGS, {"input": ["x"] * 2049}, "input", "invalid_value"),
        (EMBEDDINGS, {"input": [[1] * 150_000, [1] * 150_001]}, "input[1]", "invalid_value"),
        (EMBEDDINGS, {"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        (EMBEDDINGS, {"dimensions": 0}, "dimensions", "invalid_value"),
        (EMBEDDINGS, {"dimensions": 1.5}, "dimensions", "invalid_type"),
        (MODERATIONS, {"input": None}, "input", "missing_required_parameter"),
        (MODERATIONS, {"input": []}, "input", "empty_array"),
        (MODERATIONS, {"input": 1}, "input", "invalid_type"),
        (MODERATIONS, {"input": ["x", {}]}, "input[1]", "invalid_type"),
        (MODERATIONS, {"input": [{"type": "text"}, "x"]}, "input[1]", "invalid_type"),
        (MODERATIONS, {"input": [{}]}, "input[0].type", "missing_required_parameter"),
        (MODERATIONS, {"model": 5}, "model", "invalid_type"),
    ],
)
def test_a_wrong_field_is_named(endpoint: Endpoint, change: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        parsed(endpoint, **change)
    assert (refused.value.status, refused.value.kind) == (400, "invalid_request_error")
    assert (refused.value.param, refused.value.code) == (param, code)
    assert param in refused.value.message


@pytest.mark.parametrize(
    ("endpoint", "change"),
    [
        (RESPONSES, {"input": None, "previous_response_id": "resp_1"}),
        (RESPONSES, {"input": [USER, {"type": "function_call_output", "call_id": "c", "output": "x"}]}),
        (RESPONSES, {"stream": True, "stream_options": {"include_obfuscation": False}}),
        (RESPONSES, {"conversation": "conv_1", "background": False, "store": None, "new": {"a": 1}}),
        (COMPLETIONS, {"prompt": None}),
        (COMPLETIONS, {"prompt": "", "max_tokens": 0, "echo": True, "logprobs": 0}),
        (COMPLETIONS, {"prompt": [[1, 2], [3]], "stop": ["a"], "logit_bias": {"5": -100}}),
        (EMBEDDINGS, {"input": [[1] * 8192] * 36}),
        (EMBEDDINGS, {"input": ["x"] * 2048, "encoding_format": "base64", "dimensions": 256.0}),
        (MODERATIONS, {"model": None, "input": ""}),
        (MODERATIONS, {"input": [{"type": "text", "text": "x"}]}),
    ],
)
def test_what_openai_takes_passes(endpoint: Endpoint, change: dict[str, Any]) -> None:
    assert parsed(endpoint, **change).endpoint is endpoint


@pytest.mark.parametrize(
    ("endpoint", "change", "answers", "bound"),
    [
        (RESPONSES, {}, 1, None),
        (RESPONSES, {"max_output_tokens": 50}, 1, 50),
        (COMPLETIONS, {}, 1, None),
        (COMPLETIONS, {"max_tokens": 0}, 1, 0),
        (COMPLETIONS, {"prompt": ["a", "b"], "n": 2, "max_tokens": 10}, 4, 40),
        (COMPLETIONS, {"prompt": [[1], [2], [3]], "n": 2, "best_of": 5, "max_tokens": 10}, 15, 150),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 10}, 1, 10),
        (EMBEDDINGS, {"input": ["a", "b"]}, 0, 0),
        (MODERATIONS, {"input": ["a", "b"]}, 0, 0),
    ],
)
def test_what_the_answers_can_have_at_most(
    endpoint: Endpoint, change: dict[str, Any], answers: int, bound: int | None
) -> None:
    request = parsed(endpoint, **change)
    assert (request.answers, request.answer_bound_tokens) == (answers, bound)


IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 500_000, "detail": "auto"}


@pytest.mark.parametrize(
    ("endpoint", "change"),
    [
        (RESPONSES, {"input": [{"role": "user", "content": [IMAGE]}]}),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": "c", "output": [IMAGE]}]}),
        (
            RESPONSES,
            {
                "input": [
                    {
                        "type": "computer_call_output",
                        "call_id": "c",
                        "output": {"type": "computer_screenshot", "image_url": IMAGE["image_url"]},
                    }
                ]
            },
        ),
        (MODERATIONS, {"input": [{"type": "image_url", "image_url": {"url": IMAGE["image_url"]}}]}),
    ],
)
def test_an_image_has_a_constant_wherever_it_is(endpoint: Endpoint, change: dict[str, Any]) -> None:
    bound = parsed(endpoint, **change).prompt_bound_tokens
    assert bound
    assert IMAGE_TOKENS < bound < IMAGE_TOKENS + 1000


@pytest.mark.parametrize(
    ("change", "unbounded_param"),
    [
        ({"previous_response_id": "resp_1"}, None),
        ({"conversation": {"id": "conv_1"}}, None),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, "prompt"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}, None),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, None),
        ({"input": [{"type": "reasoning", "encrypted_content": "abc", "summary": []}]}, None),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, None),
        ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, None),
        ({"tools": [{"type": "function"}, {"type": "web_search"}]}, "tools[1]"),
        ({"tools": [{"type": "something_new"}]}, "tools[0]"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ],
)
def test_texts_from_elsewhere_and_work_upstream_are_told(
    change: dict[str, Any], unbounded_param: str | None
) -> None:
    request = parsed(RESPONSES, **change)
    assert request.prompt_bound_tokens is None
    assert request.unbounded_param == unbounded_param


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "id": "msg_1", "role": "assistant", "content": "x"},
        {"id": "msg_1", "role": "assistant", "content": "x"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "shell_call_output", "id": "so_1", "call_id": "c", "output": []},
        {"type": "reasoning", "summary": []},
    ],
)
def test_items_that_bring_their_content_have_a_bound(item: dict[str, Any]) -> None:
    assert parsed(RESPONSES, input=[USER, item]).prompt_bound_tokens


@pytest.mark.parametrize(
    ("endpoint", "change", "is_kept"),
    [
        (RESPONSES, {}, True),
        (RESPONSES, {"store": None}, True),
        (RESPONSES, {"store": False}, False),
        (RESPONSES, {"store": False, "prompt": {"id": "pmpt_1"}}, True),
        (RESPONSES, {"store": False, "tools": [{"type": "file_search"}]}, True),
        (RESPONSES, {"store": False, "tools": [{"type": "function"}]}, False),
        (RESPONSES, {"store": False, "input": [{"type": "reasoning", "encrypted_content": "x"}]}, True),
        (EMBEDDINGS, {}, False),
    ],
)
def test_what_one_account_keeps_or_can_read_is_told(
    endpoint: Endpoint, change: dict[str, Any], is_kept: bool
) -> None:
    assert endpoint.is_kept(parsed(endpoint, **change)) == is_kept


def test_tools_of_the_caller_have_a_bound() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {}}, {"type": "custom", "name": "g"}]
    request = parsed(RESPONSES, tools=tools)
    assert request.prompt_bound_tokens
    assert request.unbounded_param is None


@pytest.mark.parametrize(
    ("endpoint", "change", "expected"),
    [
        (RESPONSES, {"temperature": 0}, False),
        (RESPONSES, {"temperature": 0, "store": False}, True),
        (RESPONSES, {"temperature": 1, "store": False}, False),
        (RESPONSES, {"temperature": 0, "store": False, "conversation": "conv_1"}, False),
        (RESPONSES, {"temperature": 0, "store": False, "tools": [{"type": "web_search"}]}, False),
        (RESPONSES, {"temperature": 0, "store": False, "prompt": {"id": "pmpt_1"}}, False),
        (RESPONSES, {"temperature": 0, "store": False, "prompt": {"id": "pmpt_1", "version": "2"}}, False),
        (COMPLETIONS, {}, False),
        (COMPLETIONS, {"temperature": 0}, True),
        (COMPLETIONS, {"seed": 1}, True),
        (EMBEDDINGS, {}, True),
        (MODERATIONS, {}, False),
    ],
)
def test_only_repeatable_requests_are_kept(
    endpoint: Endpoint, change: dict[str, Any], expected: bool
) -> None:
    assert endpoint.is_repeatable(parsed(endpoint, **change)) is expected


ADDRESS = "https://example.com/a"
SCREENSHOT = {"type": "computer_screenshot", "image_url": ADDRESS}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "user", "content": [IMAGE]}, True),
        ({"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}, True),
        ({"role": "user", "content": [{"type": "input_text", "text": ADDRESS}]}, True),
        ({"role": "user", "content": [{**IMAGE, "image_url": ADDRESS}]}, False),
        ({"role": "user", "content": [{"type": "input_file", "file_url": ADDRESS}]}, False),
        ({"type": "function_call_output", "output": [{**IMAGE, "image_url": ADDRESS}]}, False),
        ({"type": "computer_call_output", "output": SCREENSHOT}, False),
    ],
)
def test_what_is_fetched_from_an_address_is_not_kept(item: dict[str, Any], expected: bool) -> None:
    request = parsed(RESPONSES, temperature=0, store=False, input=[USER, item])
    assert RESPONSES.is_repeatable(request) is RESPONSES.is_pure(request) is expected


@pytest.mark.parametrize(
    ("endpoint", "answer", "expected"),
    [
        (RESPONSES, {"status": "completed", "error": None}, True),
        (RESPONSES, {"status": "incomplete", "error": None}, False),
        (RESPONSES, {"status": "failed", "error": {"code": "x"}}, False),
        (COMPLETIONS, {"choices": [{}]}, True),
        (COMPLETIONS, {"choices": []}, False),
        (EMBEDDINGS, {"data": [{}]}, True),
        (EMBEDDINGS, {"data": [{}], "error": {}}, False),
        (MODERATIONS, {"results": [{}]}, True),
        (MODERATIONS, {}, False),
    ],
)
def test_what_a_complete_answer_looks_like(
    endpoint: Endpoint, answer: dict[str, Any], expected: bool
) -> None:
    assert endpoint.is_complete(answer) is expected


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
    ["model", "input", "prompt", "stream", "stream_options", "n", "best_of", "tools", "max_output_tokens"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ENDPOINTS),
    st.dictionaries(field_names, json_values, max_size=4),
    st.booleans(),
)
def test_any_json_is_either_accepted_or_refused_with_a_field(
    endpoint: Endpoint, change: dict[str, Any], complete: bool
) -> None:
    body = json.dumps({**(GOOD.get(endpoint, {}) if complete else {}), **change}).encode()
    try:
        request = endpoint.parse(body)
    except ApiError as refused:
        assert refused.status == 400  # noqa: PT017 (either outcome is right, each in its form)
        assert refused.param or refused.code == "invalid_json"  # noqa: PT017
    else:
        assert request.body is body
        assert request.answers >= 0
        assert request.answer_bound_tokens is None or request.answer_bound_tokens >= 0
        assert request.prompt_bound_tokens is None or request.prompt_bound_tokens >= len(body)
        endpoint.is_repeatable(request)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ENDPOINTS), st.binary(max_size=200))
def test_any_bytes_are_answered(endpoint: Endpoint, body: bytes) -> None:
    with pytest.raises(ApiError):
        endpoint.parse(body)
