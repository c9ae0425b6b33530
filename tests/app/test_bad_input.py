"""Bad requests at every endpoint: refused in OpenAI's form, at once, nothing counted, nothing sent on."""

import json
import time
from typing import Any

import httpx2
import openai
import pytest

from app.body import MAX_BODY_BYTES
from tests.app.conftest import Aws, Gateway, StandIn
from tests.servers import until

GOOD: dict[str, dict[str, Any]] = {
    "/chat/completions": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]},
    "/responses": {"model": "gpt-4o-mini", "input": "hi"},
    "/completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "hi"},
    "/embeddings": {"model": "text-embedding-3-small", "input": "hi"},
    "/moderations": {"model": "omni-moderation-latest", "input": "hi"},
}
WITHIN_S = 3.0

BROKEN = {
    "empty": b"",
    "not JSON": b"model=gpt-4o-mini",
    "an array": b"[]",
    "cut": b'{"model":"gpt-4o-mini","messages":[{"role":"user"',
    "NaN": b'{"model":"gpt-4o-mini","temperature":NaN}',
    "a number beyond any double": b'{"model":"gpt-4o-mini","temperature":1e999}',
    "not UTF-8": b'{"model":"gpt-4o-mini\xff\xfe"}',
    "UTF-16": '{"model":"gpt-4o-mini"}'.encode("utf-16"),
    "half a surrogate": b'{"model":"\\ud800"}',
    "deep": b'{"model":' + b"[" * 100_000,
    "deep and whole": b'{"model":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "many values": b'{"model":"m","input":[' + b"0," * (MAX_BODY_BYTES // 2 - 100) + b"0]}",
    "twice a model": b'{"model":"gpt-4o-mini","model":"gpt-4o"}',
}


def post(gateway: Gateway, path: str, body: bytes, key: str | None = None, **headers: str) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1{path}",
        content=body,
        headers={"authorization": f"Bearer {key or gateway.key}", **headers},
        timeout=15,
    )


def error_of(answer: httpx2.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    return error


@pytest.mark.parametrize("path", GOOD)
def test_a_broken_body_is_refused_at_once_and_counted_nowhere(
    gateway: Gateway, stand_in: StandIn, aws: Aws, path: str
) -> None:
    key = aws.new_key(requests_per_minute=1)
    for name, body in BROKEN.items():
        began = time.monotonic()
        answer = post(gateway, path, body, key)
        assert time.monotonic() - began < WITHIN_S, name
        assert answer.status_code == 400, name
        assert error_of(answer)["code"] in ("invalid_json", "duplicate_field"), name
    assert stand_in.calls()["total"] == 0
    assert post(gateway, path, json.dumps(GOOD[path]).encode(), key).status_code == 200


WRONG = [
    ("/chat/completions", {"messages": [{"role": "user", "content": "hi"}, {"role": 1}]}, "messages[1].role"),
    ("/chat/completions", {"temperature": 1e308}, "temperature"),
    ("/chat/completions", {"n": 10**30}, "n"),
    ("/chat/completions", {"max_tokens": -(10**30)}, "max_tokens"),
    ("/chat/completions", {"logprobs": "yes"}, "logprobs"),
    ("/chat/completions", {"service_tier": ["flex"]}, "service_tier"),
    ("/responses", {"service_tier": {"flex": 1}}, "service_tier"),
    ("/responses", {"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
    ("/responses", {"max_output_tokens": 1.5}, "max_output_tokens"),
    ("/responses", {"stream": 1}, "stream"),
    ("/completions", {"prompt": [[1, 2], ["x"]]}, "prompt[1][0]"),
    ("/completions", {"best_of": 1000}, "best_of"),
    ("/embeddings", {"input": ["x", 5]}, "input[1]"),
    ("/embeddings", {"encoding_format": "hex"}, "encoding_format"),
    ("/moderations", {"input": {}}, "input"),
    *[(path, {"model": ["m"]}, "model") for path in GOOD],
    *[(path, {"model": "x" * 1000}, "model") for path in GOOD],
    *[(path, {"model": "a\u0000b"}, "model") for path in GOOD],
]


@pytest.mark.parametrize(("path", "change", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_field_is_named_and_nothing_sent_on(
    gateway: Gateway, stand_in: StandIn, path: str, change: dict[str, Any], param: str
) -> None:
    answer = post(gateway, path, json.dumps({**GOOD[path], **change}).encode())
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["param"] == param
    assert param in error["message"]
    assert stand_in.calls()["total"] == 0


@pytest.mark.parametrize("path", GOOD)
def test_sizes_and_encodings_are_bounded_everywhere(gateway: Gateway, stand_in: StandIn, path: str) -> None:
    large = post(gateway, path, b" " * (MAX_BODY_BYTES + 1))
    assert (large.status_code, error_of(large)["code"]) == (413, "request_too_large")
    encoded = post(gateway, path, b"x", **{"content-encoding": "br"})
    assert (encoded.status_code, error_of(encoded)["code"]) == (415, "unsupported_content_encoding")
    assert stand_in.calls()["total"] == 0


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_another_method_is_openais_405(gateway: Gateway, path: str, method: str) -> None:
    answer = httpx2.request(method, f"{gateway.url}/v1{path}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    if method != "HEAD":
        assert error_of(answer)["code"] == "method_not_supported"


def test_what_is_not_offered_is_openais_404(gateway: Gateway, stand_in: StandIn) -> None:
    client = gateway.sdk()
    for call in (
        lambda: client.responses.retrieve("resp_1"),
        lambda: client.responses.cancel("resp_1"),
        lambda: client.chat.completions.retrieve("chatcmpl-1"),
        lambda: client.containers.list(),
        lambda: client.images.generate(prompt="x"),
        lambda: client.audio.speech.create(model="tts-1", input="x", voice="alloy"),
        lambda: client.fine_tuning.jobs.list(),
        lambda: client.vector_stores.list(),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            call()
        assert (refused.value.code, refused.value.type) == ("unknown_url", "invalid_request_error")
    assert stand_in.calls()["total"] == 0


@pytest.mark.parametrize("key", ["sk-gw-" + "é" * 43, "sk-gw-" + "x" * 60_000, "Bearer Bearer"])
def test_an_absurd_key_is_a_401(gateway: Gateway, key: str) -> None:
    answer = httpx2.post(
        f"{gateway.url}/v1/embeddings",
        content=b"{}",
        headers={b"authorization": f"Bearer {key}".encode("latin-1")},
    )
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_gateway_serves_on_after_all_of_it(gateway: Gateway) -> None:
    assert until(lambda: httpx2.get(f"{gateway.url}/healthz").status_code == 200)
    assert b'"internal_error"' not in gateway.program.everything()
    assert b"Traceback" not in gateway.program.everything()
