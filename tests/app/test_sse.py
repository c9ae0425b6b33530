"""Streams on their way through: whole events, usage taken out, completeness known."""

import time
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sse import MAX_EVENT_BYTES, CompletionStream, MalformedStreamError, ResponseStream, event_data
from app.usage import Usage

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


def test_a_large_event_in_small_pieces_takes_no_more_than_its_bytes() -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 4 * 2**20 + b'"}}]}\n\n'
    began = time.process_time()
    passed, stream = run(event, list(range(0, len(event), 16_384)), strip_usage=True)
    assert passed == event
    assert stream.chunks == 1
    assert time.process_time() - began < 2


RESPONSE = b'event: response.x\ndata: {"type":"response.%b","sequence_number":%d%b}\n\n'
RESPONSE_USAGE = (
    b',"response":{"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7,'
    b'"input_tokens_details":{"cached_tokens":2},"output_tokens_details":{"reasoning_tokens":1}}}'
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([b"completed", b"incomplete", b"failed"]),
)
def test_a_response_is_whole_with_one_of_three_events(cuts: list[int], last: bytes) -> None:
    data = b"".join(
        [
            RESPONSE % (b"created", 0, b""),
            RESPONSE % (b"output_text.delta", 1, b',"delta":"\\u00e9"'),
            RESPONSE % (last, 2, RESPONSE_USAGE),
        ]
    )
    stream = ResponseStream()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    passed = b"".join(stream.feed(data[a:b]) for a, b in pairwise(edges) if a != b)
    assert passed == data
    assert (stream.done, stream.failed, stream.shortened) == (
        last != b"failed",
        last == b"failed",
        last == b"incomplete",
    )
    assert stream.usage == Usage(3, 4, 7, cached_tokens=2, reasoning_tokens=1)


def test_an_error_in_a_response_goes_on_with_its_numbers() -> None:
    stream = ResponseStream()
    stream.feed(RESPONSE % (b"created", 41, b""))
    error = {"message": "it broke", "type": "server_error", "param": None, "code": "upstream_cut"}
    event = stream.error_event(error)
    assert event.startswith(b"event: error\n")
    assert orjson.loads(event_data(event)) == {
        "type": "error", "sequence_number": 42, "code": "upstream_cut", "message": "it broke", "param": None,
        "error": error,
    }  # fmt: skip


def test_an_error_event_of_the_upstreams_is_noticed_in_a_response() -> None:
    stream = ResponseStream()
    event = (
        b'event: error\ndata: {"type":"error","code":"server_error","message":"x","sequence_number":3}\n\n'
    )
    assert stream.feed(event) == event
    assert stream.failed
    assert not stream.done


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


def test_silence_is_what_is_longer_than_from_one_token_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("app.sse.time.monotonic", lambda: now)
    stream = CompletionStream(strip_usage=False)
    for after_s in (3.0, 0.02, 0.9, 2.0):
        now += after_s
        stream.feed(CHUNK)
    assert stream.silent_s == 5.0
    now += 0.9
    assert stream.silent_s == 5.0
    now += 0.6
    assert stream.silent_s == 6.5
