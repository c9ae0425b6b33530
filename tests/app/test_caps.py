"""Caps and defaults of a project, on every endpoint."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.caps import NO_CAPS, Caps, check_input, within
from app.endpoints import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    MODERATIONS,
    RESPONSES,
    ApiRequest,
    Endpoint,
)
from app.errors import ApiError

NEEDED: dict[Endpoint, dict[str, Any]] = {
    CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "tell"}]},
    RESPONSES: {"input": "tell"},
    COMPLETIONS: {"prompt": "tell"},
    EMBEDDINGS: {"input": "tell"},
    MODERATIONS: {"input": "tell"},
}
PROJECT = "proj_capped"


def a_request(endpoint: Endpoint, **fields: Any) -> ApiRequest:
    return endpoint.parse(json.dumps({"model": "gpt-4o", **NEEDED[endpoint], **fields}).encode())


def refusal(caps: Caps, request: ApiRequest) -> ApiError:
    with pytest.raises(ApiError) as refused:
        within(caps, request, PROJECT)
    return refused.value


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        (CHAT_COMPLETIONS, "max_completion_tokens"),
        (CHAT_COMPLETIONS, "max_tokens"),
        (RESPONSES, "max_output_tokens"),
        (COMPLETIONS, "max_tokens"),
        (CHAT_COMPLETIONS, "n"),
        (COMPLETIONS, "n"),
        (COMPLETIONS, "best_of"),
    ],
)
def test_what_is_asked_for_above_a_cap_is_refused_by_its_name_and_whose_it_is(
    endpoint: Endpoint, field: str
) -> None:
    cap = 20 if "tokens" in field else 2
    caps = Caps(max_tokens=20, n=2, best_of=2, default_max_tokens=20)
    refused = refusal(caps, a_request(endpoint, **{field: cap + 1}))
    assert (refused.status, refused.param, refused.code) == (400, field, "integer_above_max_value")
    assert refused.message.startswith(f"{field} is {cap + 1}, and project {PROJECT} caps it at {cap}. ")
    asked = within(caps, a_request(endpoint, **{field: cap}), PROJECT)
    assert asked.fields[field] == cap


@pytest.mark.parametrize("endpoint", [CHAT_COMPLETIONS, COMPLETIONS])
def test_more_stop_sequences_than_the_cap_are_refused(endpoint: Endpoint) -> None:
    refused = refusal(Caps(stop=1), a_request(endpoint, stop=["a", "b"]))
    assert (refused.status, refused.param, refused.code) == (400, "stop", "array_above_max_length")
    for stop in ("a", ["a"]):
        request = a_request(endpoint, stop=stop)
        assert within(Caps(stop=1), request, PROJECT) is request


def test_a_body_above_the_cap_is_refused() -> None:
    check_input(Caps(input_bytes=4), b"1234", PROJECT)
    with pytest.raises(ApiError, match=f"4 bytes that project {PROJECT} caps") as refused:
        check_input(Caps(input_bytes=4), b"12345", PROJECT)
    assert (refused.value.status, refused.value.code) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("endpoint", "field", "capped_only"),
    [
        (CHAT_COMPLETIONS, "max_completion_tokens", 500),
        (RESPONSES, "max_output_tokens", 500),
        # OpenAI gives a completion 16 tokens when nothing bounds it; a cap alone must not give it more.
        (COMPLETIONS, "max_tokens", 16),
    ],
)
@pytest.mark.parametrize("spelled_out", [False, True])
def test_an_answer_without_a_bound_gets_the_default_or_else_the_cap(
    endpoint: Endpoint, field: str, capped_only: int, spelled_out: bool
) -> None:
    request = a_request(endpoint, **({field: None} if spelled_out else {}))
    for caps, most in (
        (Caps(max_tokens=500), capped_only),
        (Caps(max_tokens=500, default_max_tokens=100), 100),
    ):
        bounded = within(caps, request, PROJECT)
        assert orjson.loads(bounded.body) == bounded.fields == {**request.fields, field: most}
        assert bounded.answer_bound_tokens == most


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_bound_of_the_callers_own_is_kept_whatever_it_is_called(field: str) -> None:
    request = a_request(CHAT_COMPLETIONS, **{field: 7})
    assert within(Caps(max_tokens=500, default_max_tokens=100), request, PROJECT) is request


@pytest.mark.parametrize("endpoint", [CHAT_COMPLETIONS, COMPLETIONS])
def test_a_request_that_says_nothing_of_stop_gets_the_default(endpoint: Endpoint) -> None:
    caps = Caps(default_stop=("END", "é"))
    assert orjson.loads(within(caps, a_request(endpoint), PROJECT).body)["stop"] == ["END", "é"]
    for stop in ("[]", '"x"'):
        request = a_request(endpoint, stop=json.loads(stop))
        assert within(caps, request, PROJECT) is request


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "ft:o4-mini:org::id"])
def test_a_reasoning_model_gets_no_stop_sequence_as_it_would_refuse_it(model: str) -> None:
    request = a_request(CHAT_COMPLETIONS, model=model)
    assert within(Caps(default_stop=("END",)), request, PROJECT) is request


@pytest.mark.parametrize("endpoint", [EMBEDDINGS, MODERATIONS])
def test_what_writes_no_answer_gets_no_bound(endpoint: Endpoint) -> None:
    request = a_request(endpoint)
    assert within(Caps(max_tokens=16, default_stop=("END",)), request, PROJECT) is request


def test_without_caps_a_request_is_the_same_object() -> None:
    request = a_request(CHAT_COMPLETIONS, n=128)
    assert within(NO_CAPS, request, PROJECT) is request


@given(
    st.sampled_from([CHAT_COMPLETIONS, RESPONSES, COMPLETIONS]),
    st.integers(16, 1000),
    st.none() | st.integers(16, 1000),
    st.none() | st.integers(1, 1000),
)
def test_what_goes_on_never_asks_for_more_than_the_cap(
    endpoint: Endpoint, cap: int, default: int | None, asked: int | None
) -> None:
    caps = Caps(max_tokens=cap, default_max_tokens=None if default is None else min(default, cap))
    request = a_request(endpoint, **({} if asked is None else {endpoint.answer_tokens_fields[0]: asked}))
    if asked is not None and asked > cap:
        refusal(caps, request)
    else:
        bound = within(caps, request, PROJECT).answer_bound_tokens
        assert bound is not None
        assert bound <= cap
        assert asked is None or bound == asked
