"""Joined and taken apart again, nothing is lost, invented or another caller's."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints import COMPLETIONS, EMBEDDINGS
from app.joining import MAX_PART_BYTES, Part, count_tokens, joined_body, part_of, shares, take_apart
from local.stand_in.behaviour import NORMAL, Behaviour
from local.stand_in.completions import Completion
from local.stand_in.embeddings import Embeddings

COMPLETION: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": "one"}
EMBEDDING: dict[str, Any] = {"model": "text-embedding-3-small", "input": "one"}


def part(path: str, **fields: Any) -> Part:
    found = part_of(path, json.dumps(fields).encode())
    assert found is not None
    return found


def answer(part: Part, fields: Any, behaves: Behaviour = NORMAL) -> dict[str, Any]:
    """What the stand-in answers, without what differs each time."""
    kind = Completion if part.path == COMPLETIONS.path else Embeddings
    whole = kind(fields, behaves).whole(with_usage=True)
    return {name: value for name, value in whole.items() if name not in ("id", "created")}


texts = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=4)
inputs = st.one_of(
    st.text(min_size=1, max_size=30),
    texts,
    st.lists(st.integers(0, 50_000), min_size=1, max_size=9),
    st.lists(st.lists(st.integers(0, 50_000), min_size=1, max_size=9), min_size=1, max_size=4),
)
completions = st.fixed_dictionaries(
    {"n": st.sampled_from([1, 3]), "max_tokens": st.sampled_from([2, 12, 900])}
)
embeddings = st.fixed_dictionaries(
    {"encoding_format": st.sampled_from(["float", "base64"]), "dimensions": st.sampled_from([3, 16])}
)


@given(st.lists(inputs, min_size=1, max_size=8), completions)
def test_each_has_the_choices_and_the_usage_of_a_request_of_its_own(
    prompts: list[Any], parameters: dict[str, Any]
) -> None:
    of_texts: list[Part] = []
    of_tokens: list[Part] = []
    for prompt in prompts:
        one = part(COMPLETIONS.path, **{**COMPLETION, **parameters, "prompt": prompt})
        (of_texts if isinstance(one.inputs[0], str) else of_tokens).append(one)
    assert_same_as_alone(of_texts)
    assert_same_as_alone(of_tokens)


@given(st.lists(inputs, min_size=1, max_size=8), embeddings)
def test_each_has_the_vectors_and_the_usage_of_a_request_of_its_own(
    asked: list[Any], parameters: dict[str, Any]
) -> None:
    of_texts: list[Part] = []
    of_tokens: list[Part] = []
    for one_input in asked:
        one = part(EMBEDDINGS.path, **{**EMBEDDING, **parameters, "input": one_input})
        (of_texts if isinstance(one.inputs[0], str) else of_tokens).append(one)
    assert_same_as_alone(of_texts)
    assert_same_as_alone(of_tokens)


def assert_same_as_alone(parts: list[Part]) -> None:
    if not parts:
        return
    assert len({one.shape for one in parts}) == 1
    joined = answer(parts[0], json.loads(joined_body(parts)))
    assert take_apart(parts, joined) == [answer(one, one.fields) for one in parts]


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_shares_add_up_to_the_whole_and_are_in_proportion(total: int, weights: list[int]) -> None:
    found = shares(total, weights)
    assert sum(found) == total
    whole = sum(weights)
    if whole:
        assert all(
            abs(share * whole - total * weight) < whole for share, weight in zip(found, weights, strict=True)
        )
        assert shares(whole, weights) == weights
    else:
        assert max(found) - min(found) <= 1


@given(st.lists(texts, min_size=2, max_size=6), st.integers(0, 500), st.integers(0, 90), st.integers(0, 90))
def test_figures_that_cannot_be_counted_still_add_up(
    prompts: list[list[str]], off: int, cached: int, reasoning: int
) -> None:
    parts = [part(COMPLETIONS.path, **{**COMPLETION, "prompt": prompt}) for prompt in prompts]
    behaves = Behaviour(cached_tokens=cached, reasoning_tokens=reasoning)
    joined = answer(parts[0], json.loads(joined_body(parts)), behaves)
    joined["usage"]["prompt_tokens"] += off
    joined["usage"]["total_tokens"] += off
    taken = take_apart(parts, joined)
    assert taken is not None
    usages = [apart["usage"] for apart in taken]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert sum(usage[name] for usage in usages) == joined["usage"][name]
    for usage in usages:
        assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
        assert 0 <= usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]
        assert 0 <= usage["completion_tokens_details"]["reasoning_tokens"] <= usage["completion_tokens"]
    details = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
    assert sum(details) == joined["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_two_answers_do_not_share_an_id() -> None:
    parts = [part(COMPLETIONS.path, **COMPLETION), part(COMPLETIONS.path, **COMPLETION)]
    joined = {"id": "cmpl-1", "choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}
    assert take_apart(parts, joined) == [
        {"id": "cmpl-1-0", "choices": [{"index": 0, "text": "a"}]},
        {"id": "cmpl-1-1", "choices": [{"index": 0, "text": "b"}]},
    ]


@pytest.mark.parametrize(
    "choices",
    [
        None,
        [],
        ["a", "b"],
        [{"index": 0}],
        [{"index": 0}, {"index": 0}],
        [{"index": 0}, {"index": 2}],
        [{"text": "a"}, {"text": "b"}],
        [{"index": 0}, {"index": 1}, {"index": 2}],
    ],
)
def test_what_is_no_answer_to_all_is_nobodys(choices: Any) -> None:
    parts = [part(COMPLETIONS.path, **COMPLETION), part(COMPLETIONS.path, **COMPLETION)]
    assert take_apart(parts, {"choices": choices}) is None


@pytest.mark.parametrize(
    "usage", [None, "none", {}, {"prompt_tokens": "x"}, {"prompt_tokens": None, "total_tokens": 7}]
)
def test_usage_that_is_missing_or_odd_harms_nobody(usage: Any) -> None:
    parts = [part(EMBEDDINGS.path, **EMBEDDING), part(EMBEDDINGS.path, **EMBEDDING)]
    taken = take_apart(parts, {"data": [{"index": 0}, {"index": 1}], "usage": usage})
    assert taken is not None
    assert [apart["data"] for apart in taken] == [[{"index": 0}], [{"index": 0}]]


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": True},
        {"seed": 0},
        {"echo": True},
        {"logprobs": 0},
        {"suffix": "end"},
        {"n": 2, "best_of": 3},
        {"prompt": ""},
        {"prompt": ["one", ""]},
        {"prompt": None},
        {"prompt": "x" * MAX_PART_BYTES},
        {"temperature": 0.12345678901234567},
        {"new_field": 12345678901234567890123},
    ],
)
def test_what_being_joined_could_change_is_left_alone(fields: dict[str, Any]) -> None:
    assert part_of(COMPLETIONS.path, json.dumps({**COMPLETION, **fields}).encode()) is None


def test_a_long_number_in_a_text_is_text_as_any_other() -> None:
    text = 'order "12345678901234567890", \\ 1234567890.123456'
    assert part(COMPLETIONS.path, **{**COMPLETION, "prompt": text, "user": text}).inputs == [text]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "davinci-002"},
        {"n": 2},
        {"max_tokens": 5},
        {"temperature": 1},
        {"stop": "."},
        {"user": "somebody"},
        {"logit_bias": {"50256": -100}},
        {"prompt": [1, 2]},
        {"new_field": 1},
    ],
)
def test_requests_that_differ_in_anything_but_the_prompt_have_other_shapes(fields: dict[str, Any]) -> None:
    assert (
        part(COMPLETIONS.path, **COMPLETION).shape != part(COMPLETIONS.path, **{**COMPLETION, **fields}).shape
    )


def test_another_beta_is_another_shape_and_the_order_of_keys_is_not() -> None:
    one, same = b'{"prompt":"a","model":"m"}', b'{"model":"m", "prompt":["b"]}'
    shapes = [found.shape for body in (one, same) if (found := part_of(COMPLETIONS.path, body))]
    assert shapes[0] == shapes[1]
    other = part_of(COMPLETIONS.path, one, None, "assistants=v2")
    assert other
    assert other.shape != shapes[0]


def test_tokens_are_counted_as_openais_models_count_them() -> None:
    # Known from OpenAI's cookbook, "How to count tokens with tiktoken", for cl100k_base.
    assert count_tokens(["antidisestablishmentarianism", "2 + 2 = 4", "お誕生日おめでとう"]) == [6, 7, 9]
