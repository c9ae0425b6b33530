"""Asking for the usage chunk leaves every other byte of a request alone."""

import json

import orjson
import pytest

from app.endpoints import CHAT_COMPLETIONS
from app.errors import ApiError

REST = (
    b'"model" : "m",\n "messages":[{"role":"user","content":"\\u00e9 \\"stream_options\\":{"}],'
    b'"x":1.50,"stream":true'
)


def sent(body: bytes) -> bytes:
    return CHAT_COMPLETIONS.body_for_stream(CHAT_COMPLETIONS.parse(body))


def test_the_option_is_put_before_the_first_field() -> None:
    assert sent(b" {" + REST + b"}") == b' {"stream_options":{"include_usage":true},' + REST + b"}"


@pytest.mark.parametrize("options", [b'{"include_obfuscation":false}', b"{ }", b"{}"])
def test_options_that_exist_keep_what_they_say(options: bytes) -> None:
    body = sent(b"{" + REST + b',"stream_options" : ' + options + b"}")
    assert body.startswith(b"{" + REST)
    assert orjson.loads(body)["stream_options"] == {**orjson.loads(options), "include_usage": True}


def test_a_caller_who_asks_for_it_is_forwarded_untouched() -> None:
    body = b"{" + REST + b',"stream_options":{"include_usage":true}}'
    assert sent(body) is body


@pytest.mark.parametrize("options", ['{"include_usage":false}', '{"include_usage":null,"a":1}', "null"])
def test_a_spelled_out_no_is_replaced_without_losing_a_digit(options: str) -> None:
    body = b"{" + REST + b',"big":123456789012345678901234567890,"stream_options":' + options.encode() + b"}"
    value = json.loads(sent(body))
    assert value["stream_options"] == {**(json.loads(options) or {}), "include_usage": True}
    assert value["big"] == 123456789012345678901234567890


def test_the_same_key_deeper_down_is_not_taken_for_it() -> None:
    deeper = b'"metadata":{"stream_options":{}},"stream\\u005foptions":{}'
    value = json.loads(sent(b"{" + REST + b"," + deeper + b"}"))
    assert value["metadata"] == {"stream_options": {}}
    assert value["stream_options"] == {"include_usage": True}


def test_what_is_too_deep_to_be_written_anew_is_refused() -> None:
    deep = b'"metadata":' + b'{"a":' * 1020 + b"1" + b"}" * 1020 + b',"stream_options":null'
    with pytest.raises(ApiError, match="too deeply"):
        sent(b"{" + REST + b"," + deep + b"}")
