"""Bodies are bounded and unambiguous before anything else looks at them."""

import json
import time
import tracemalloc
from typing import Any

import orjson
import pytest

from app.body import FREE_BYTES, MAX_BODY_BYTES, MAX_CONTAINERS, MAX_VALUES, BodyRoom, json_object
from app.errors import ApiError
from app.exchange import Exchange


def refusal(body: bytes) -> ApiError:
    with pytest.raises(ApiError) as refused:
        json_object(body)
    assert refused.value.status == 400
    return refused.value


def filled(head: bytes, unit: bytes, tail: bytes, size: int = MAX_BODY_BYTES) -> bytes:
    return head + unit * ((size - len(head) - len(tail) - 1) // len(unit)) + b"0" + tail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b"{} {}",
        b'{"model": NaN}',
        b'{"model": Infinity}',
        b'{"model": 1e999}',
        b'{"model": 01}',
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b'{"model": "a\x00b"}',
        b'\xef\xbb\xbf{"model": "m"}',
        '{"model": "m"}'.encode("utf-16"),
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 1_000_000,
        b'{"model": "m"',
        b"{'model': 'm'}",
        b'{"model": "m",}',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize(
    "unit", [b"[],", b'{"a":1},', b"1,", b'"ab",', b"0.5,", b"[1,2,3,4,5,6,7,8,9],", b"[["]
)
def test_the_largest_body_takes_bounded_memory_and_time(unit: bytes) -> None:
    body = filled(b'{"input":[', unit, b"]}")
    began = time.process_time()
    assert refusal(body).code == "invalid_json"
    assert time.process_time() - began < 1
    tracemalloc.start()
    try:
        refusal(body)
        assert tracemalloc.get_traced_memory()[1] < MAX_BODY_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["{[,", 'a,b,"c",[d]\n', "\\"])
def test_what_a_text_holds_is_not_counted(text: str) -> None:
    long = text * (12 * 1024 * 1024 // len(json.dumps(text)))
    body = json.dumps({"model": "m", "input": long}).encode()
    assert len(body) <= MAX_BODY_BYTES
    assert json_object(body)["input"] == long


def test_the_largest_requests_of_openai_pass() -> None:
    tokens = json.dumps({"input": [[100_000 + n for n in range(146)] for _ in range(2048)]}).encode()
    assert len(json_object(tokens)["input"]) == 2048
    assert MAX_VALUES > 300_000
    assert MAX_CONTAINERS > 4096 * 10


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"cheap","model":"dear"}', "model"),
        (b'{"model":"m","max_tokens":1,"max_tokens":100000}', "max_tokens"),
        (b'{"max_tokens":1,"max\\u005ftokens":100000}', "max_tokens"),
        (b'{"mod\\u0065l":"cheap","model":"dear"}', "model"),
        (b'{"n":1,"\\u006E":9}', "n"),
        (b'{"stream_options":{"include_usage":true,"include_usage":false}}', "include_usage"),
        (b'{"tools":[],"tools":[{"type":"web_search"}]}', "tools"),
    ],
)
def test_a_decisive_key_that_comes_twice_is_refused(body: bytes, param: str) -> None:
    refused = refusal(body)
    assert (refused.param, refused.code) == (param, "duplicate_field")


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","metadata":{"model":"x"},"messages":[{"content":"\\"model\\" \\"model\\""}]}',
        b'{"model":"m","tools":[{"input":{"model":"x"}}],"input":"\\u0061\\u00e9"}',
        b'{"model":"m","metadata":{"a":1,"a":2}}',
    ],
)
def test_the_same_key_in_other_places_passes(body: bytes) -> None:
    assert json_object(body)["model"] == "m"


def test_a_key_hidden_in_a_deep_body_is_refused_not_a_crash() -> None:
    deep = b'{"model":"m","\\u0061":' + b'{"a":' * 1020 + b"1" + b"}" * 1021
    assert orjson.loads(deep)
    assert refusal(deep).code == "invalid_json"


async def test_large_bodies_share_a_room_that_requests_give_back() -> None:
    room = BodyRoom(3 * FREE_BYTES)

    def exchange(size: int, *, announced: bool) -> Exchange:
        pieces = [b"x" * size]
        if not announced:
            pieces = [b"x" * (size // 4)] * 4

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(_message: Any) -> None:
            raise AssertionError("nothing is sent here")

        headers = [(b"content-length", str(size).encode())] if announced else []
        scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": headers}
        return Exchange(scope, receive, send, room)

    for announced in (True, False):
        held = exchange(2 * FREE_BYTES, announced=announced)
        assert len(await held.read_body(MAX_BODY_BYTES)) == 2 * FREE_BYTES
        with pytest.raises(ApiError) as full:
            await exchange(2 * FREE_BYTES, announced=announced).read_body(MAX_BODY_BYTES)
        assert (full.value.status, full.value.code) == (503, "overloaded")
        assert dict(full.value.headers)[b"retry-after"] == b"1"
        assert await exchange(FREE_BYTES, announced=announced).read_body(MAX_BODY_BYTES)
        held.release()
        held.release()
        again = exchange(3 * FREE_BYTES, announced=announced)
        assert await again.read_body(MAX_BODY_BYTES)
        again.release()
