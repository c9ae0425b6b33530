"""Usage objects of every endpoint, and what is none."""

import pytest

from app.usage import Usage, parse_usage


def test_chat_completions_spell_it_with_prompt_and_completion() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
    }
    assert parse_usage(usage) == Usage(
        9, 4, 13, cached_tokens=2, reasoning_tokens=2, cache_write_tokens=3,
        audio_prompt_tokens=1, audio_completion_tokens=1,
    )  # fmt: skip


def test_responses_spell_it_with_input_and_output() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 13,
    }
    assert parse_usage(usage) == Usage(9, 4, 13, cached_tokens=2, reasoning_tokens=2, cache_write_tokens=3)


def test_embeddings_have_no_completion() -> None:
    assert parse_usage({"prompt_tokens": 5, "total_tokens": 5}) == Usage(5, 0, 5)


def test_a_missing_total_is_the_sum() -> None:
    assert parse_usage({"prompt_tokens": 5, "completion_tokens": 2}) == Usage(5, 2, 7)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "5",
        {"prompt_tokens": 5},
        {"prompt_tokens": 5, "total_tokens": 9},
        {"prompt_tokens": "5", "completion_tokens": 1},
        {"prompt_tokens": True, "completion_tokens": 1},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 5.0, "completion_tokens": 1},
        {"input_tokens": 5, "completion_tokens": 1},
    ],
)
def test_half_a_usage_is_none(usage: object) -> None:
    assert parse_usage(usage) is None
