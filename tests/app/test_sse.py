"""Streams on their way through: whole events, usage taken out, completeness known."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sse import MAX_EVENT_BYTES, CompletionStream, MalformedStreamError, event_data

CHUNK = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"h\\u00e9 "}}],"usage":null}\n\n'
USAGE = (
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,'
    b'"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}\n\n'
)
DONE = b"data: [DONE]\n\n"
COMMENT = b": hello\n\n"


def run(data: bytes, cuts: list[int], *, strip_usage: bool) -> tuple[bytes, CompletionStream]:
    stream = CompletionStream(strip_usage=strip_usage)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    passed = [stream.feed(data[a:b]) for a, b in pairwise(edges) if a != b]
    return b"".join(passed), stream


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([CHUNK, COMMENT, CHUNK.replace(b"\n", b"\r\n"), CHUNK.replace(b"\n", b"\r")]),
        max_size=5,
    ),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.booleans(),
)
def test_however_it_is_cut_the_same_bytes_come_out(
    events: list[bytes], cuts: list[int], strip_usage: bool
) -> None:
    data = b"".join([*events, USAGE, DONE])
    passed, stream = run(data, cuts, strip_usage=strip_usage)
    assert passed == (data.replace(USAGE, b"") if strip_usage else data)
    assert stream.done
    assert not stream.failed
    assert stream.usage
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens, stream.usage.total_tokens) == (
        3,
        4,
        7,
    )
    assert (stream.usage.cached_tokens, stream.usage.reasoning_tokens) == (2, 1)


def test_half_an_event_is_held_back() -> None:
    stream = CompletionStream(strip_usage=True)
    assert stream.feed(CHUNK + CHUNK[:20]) == CHUNK
    assert stream.feed(CHUNK[20:-1]) == b""
    assert stream.feed(CHUNK[-1:]) == CHUNK
    assert not stream.done


def test_usage_beside_choices_is_not_stripped() -> None:
    event = b'data: {"choices":[{"index":0}],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    passed, stream = run(event, [], strip_usage=True)
    assert passed == event
    assert stream.usage
    assert stream.usage.total_tokens == 2


def test_an_error_event_is_passed_on_and_noticed() -> None:
    event = b'data: {"error":{"message":"overloaded"}}\n\n'
    passed, stream = run(CHUNK + event, [], strip_usage=True)
    assert passed == CHUNK + event
    assert stream.failed
    assert not stream.done


def test_nothing_passes_after_the_end() -> None:
    passed, _ = run(CHUNK + DONE + CHUNK, [], strip_usage=True)
    assert passed == CHUNK + DONE


@pytest.mark.parametrize("event", [b"data: nonsense\n\n", b"data: [1]\n\n", b'data: {"a":\ndata: }\n\n'])
def test_what_is_not_a_chunk_is_malformed(event: bytes) -> None:
    with pytest.raises(MalformedStreamError):
        run(CHUNK + event, [], strip_usage=True)


def test_an_event_without_an_end_is_bounded() -> None:
    stream = CompletionStream(strip_usage=True)
    for _ in range(MAX_EVENT_BYTES // 2**20):
        assert stream.feed(b"x" * 2**20) == b""
    with pytest.raises(MalformedStreamError):
        stream.feed(b"x")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b'event: x\ndata: {"a":\ndata: 1}\nid: 3\n\n', b'{"a":\n1}'),
        (b"data: {}\r\n\r\n", b"{}"),
        (b": ping\n\n", b""),
        (b"\n\n", b""),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert event_data(event) == data


def test_the_chunks_of_this_test_are_json() -> None:
    assert orjson.loads(event_data(CHUNK))
