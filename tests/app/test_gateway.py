"""The gateway as a process, with the official SDK as its client."""

import asyncio
import hashlib
import json
import socket
import time
import uuid
from typing import Any

import httpx2
import openai
import pytest

from app.keys import hash_key, key_address
from tests.app.conftest import OPENAI_KEY, ORGANIZATION, PEPPER, PROJECT, TABLE, Aws, Gateway, StandIn
from tests.servers import until

MODEL = "gpt-4o-mini"


def messages(text: str | None = None) -> Any:
    return [{"role": "user", "content": text or f"question {uuid.uuid4()}"}]


def post(gateway: Gateway, body: bytes, key: str | None = None, **headers: str) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        content=body,
        headers={
            "authorization": f"Bearer {key or gateway.key}",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        timeout=15,
    )


def log_line(gateway: Gateway, request_id: str) -> dict[str, Any]:
    return gateway.program.said("request", request_id=request_id)


def test_a_completion_passes_through_and_is_logged_with_its_exact_usage(
    gateway: Gateway, stand_in: StandIn
) -> None:
    question = f"private question {uuid.uuid4()}"
    raw = gateway.sdk().chat.completions.with_raw_response.create(model=MODEL, messages=messages(question))
    answer = raw.parse()
    assert answer.usage
    assert question[:20] in (answer.choices[0].message.content or "")
    line = log_line(gateway, raw.headers["x-request-id"])
    assert (line["status"], line["model"], line["stream"], line["cache"]) == (200, MODEL, False, "bypass")
    assert line["total_tokens"] == answer.usage.total_tokens == stand_in.calls()["total_tokens"]
    assert (line["organization_id"], line["project_id"]) == (ORGANIZATION, PROJECT)
    assert line["key_id"].startswith("key_")
    assert line["limiter"] == "valkey"
    assert 0 < line["upstream_ms"] <= line["total_ms"]
    assert line["upstream_request_id"] == stand_in.last_call()["request_id"]
    said = gateway.program.everything().decode()
    assert question not in said
    assert gateway.key not in said
    assert OPENAI_KEY not in said


def test_the_body_reaches_the_upstream_byte_for_byte(gateway: Gateway, stand_in: StandIn) -> None:
    body = (
        '{ "model":"gpt-4o-mini" , "messages":[{"role":"user","content":"\\u00e9 é 🙂"}],'
        '"temperature":1.50, "new_field":{"n":12345678901234567890123} }'
    ).encode()
    assert post(gateway, body).status_code == 200
    assert stand_in.last_call()["body"].encode() == body


def test_keys_stay_on_their_side(gateway: Gateway, stand_in: StandIn) -> None:
    answer = post(
        gateway,
        json.dumps({"model": MODEL, "messages": messages()}).encode(),
        openai_organization=ORGANIZATION,
        openai_project=PROJECT,
        cookie="session=1",
        x_client_request_id="mine",
    )
    assert answer.status_code == 200
    call = stand_in.last_call()
    assert call["key_hash"] == hashlib.sha256(f"Bearer {OPENAI_KEY}".encode()).hexdigest()
    own = {"accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"}
    assert set(call["headers"]) == own | {"x-client-request-id"}
    assert gateway.key not in repr(call)
    assert OPENAI_KEY not in repr(answer.headers) + answer.text


def test_the_headers_of_an_answer_are_openais(gateway: Gateway, stand_in: StandIn) -> None:
    raw = gateway.sdk().chat.completions.with_raw_response.create(model=MODEL, messages=messages())
    headers = raw.headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-request-id"] != stand_in.last_call()["request_id"]
    assert headers["openai-organization"] == ORGANIZATION
    assert headers["openai-version"] == "2020-10-01"
    assert headers["openai-processing-ms"].isdecimal()
    assert headers["x-ratelimit-limit-requests"] == "1000000"
    assert int(headers["x-ratelimit-remaining-requests"]) < 1_000_000
    assert headers["x-cache"] == "bypass"


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_passes_through_chunk_by_chunk(
    gateway: Gateway, stand_in: StandIn, include_usage: bool
) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if include_usage else {}
    with gateway.sdk().chat.completions.with_streaming_response.create(
        model=MODEL, messages=messages(), stream=True, **options
    ) as raw:
        request_id = raw.headers["x-request-id"]
        chunks = list(raw.parse())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "You asked: question" in text
    assert chunks[-1 if not include_usage else -2].choices[0].finish_reason == "stop"
    assert [bool(chunk.usage) for chunk in chunks].count(True) == int(include_usage)
    assert all(chunk.choices or chunk.usage for chunk in chunks)
    line = log_line(gateway, request_id)
    assert line["stream"] is True
    assert line["total_tokens"] == stand_in.calls()["total_tokens"] > 0


def test_chunks_arrive_as_the_upstream_sends_them(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(chunk_delay_ms=100)
    stream = gateway.sdk().chat.completions.create(
        model=MODEL, messages=messages("hi"), stream=True, max_tokens=4
    )
    arrived = [time.monotonic() for _ in stream]
    assert len(arrived) >= 5
    assert arrived[-1] - arrived[0] > 0.3


async def test_the_async_client_plain_and_streaming(gateway: Gateway, stand_in: StandIn) -> None:
    async with gateway.async_sdk() as client:
        answers = await asyncio.gather(
            *(
                client.chat.completions.create(model=MODEL, messages=messages(f"number {n}"))
                for n in range(20)
            )
        )
        assert all(f"number {n}" in (a.choices[0].message.content or "") for n, a in enumerate(answers))
        stream = await client.chat.completions.create(model=MODEL, messages=messages(), stream=True)
        assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"
    assert stand_in.calls()["total"] == 21


@pytest.mark.parametrize("stream", [False, True])
def test_a_repeatable_request_is_answered_from_the_cache(
    gateway: Gateway, stand_in: StandIn, stream: bool
) -> None:
    body = json.dumps({"model": MODEL, "messages": messages(), "temperature": 0, "stream": stream}).encode()
    first = post(gateway, body)

    def repeated() -> httpx2.Response | None:
        answer = post(gateway, body + b" ")
        return answer if answer.headers["x-cache"] == "hit" else None

    second = until(repeated)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.headers["x-cache"] == "miss"
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert stand_in.calls()["total"] <= 2
    line = log_line(gateway, second.headers["x-request-id"])
    assert (line["cache"], line["total_tokens"], line["upstream_ms"]) == ("hit", None, None)
    if stream:
        assert first.content.endswith(b"data: [DONE]\n\n")
        client = gateway.sdk()
        again = client.chat.completions.create(**json.loads(body))
        assert list(again)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", [{"status": 504}, {"cut_after": 2}, {"malformed": True}])
def test_only_complete_answers_are_kept(
    gateway: Gateway, stand_in: StandIn, behaviour: dict[str, Any], stream: bool
) -> None:
    body = json.dumps({"model": MODEL, "messages": messages(), "seed": 1, "stream": stream}).encode()
    stand_in.behave(times=1, **behaviour)
    assert post(gateway, body).headers["x-cache"] == "miss"
    good = post(gateway, body)
    assert (good.status_code, good.headers["x-cache"]) == (200, "miss")
    assert stand_in.calls()["total"] == 2


def test_another_key_of_another_project_does_not_see_a_kept_answer(
    gateway: Gateway, stand_in: StandIn, aws: Aws
) -> None:
    body = json.dumps({"model": MODEL, "messages": messages(), "temperature": 0}).encode()
    post(gateway, body)
    other = post(gateway, body, key=aws.new_key(project_id="proj_other"))
    assert (other.status_code, other.headers["x-cache"]) == (200, "miss")
    assert stand_in.calls()["total"] == 2


def test_models_come_from_the_upstream(gateway: Gateway, stand_in: StandIn) -> None:
    client = gateway.sdk()
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve("ft:gpt-4o:acme::1").id == "ft:gpt-4o:acme::1"
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("nonexistent")
    assert refused.value.code == "model_not_found"
    assert stand_in.calls()["endpoints"] == {
        "GET /v1/models": 1, "GET /v1/models/ft:gpt-4o:acme::1": 1, "GET /v1/models/nonexistent": 1,
    }  # fmt: skip


@pytest.mark.parametrize("key", ["sk-gw-" + "x" * 43, "wrong", "sk-gw-short", OPENAI_KEY, PEPPER])
def test_a_wrong_key_is_refused(gateway: Gateway, stand_in: StandIn, key: str) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        gateway.sdk(key=key).chat.completions.create(model=MODEL, messages=messages())
    assert refused.value.code == "invalid_api_key"
    assert key not in str(refused.value)
    assert refused.value.response.headers["x-request-id"].startswith("req_")
    assert stand_in.calls()["total"] == 0


@pytest.mark.parametrize("authorization", ["", "Basic dXNlcjpwYXNz", "Bearer"])
def test_a_missing_key_is_told_how_to_send_one(gateway: Gateway, authorization: str) -> None:
    answer = httpx2.get(f"{gateway.url}/v1/models", headers={"authorization": authorization})
    assert answer.status_code == 401
    assert "Authorization: Bearer" in answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("header", "code"), [("organization", "mismatched_organization"), ("project", "mismatched_project")]
)
def test_a_key_of_another_organization_or_project_is_refused(
    gateway: Gateway, header: str, code: str
) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        gateway.sdk(**{header: "other"}).models.list()
    assert refused.value.code == code


def test_a_changed_limit_and_a_revoked_key_take_effect_within_five_seconds(
    gateway: Gateway, aws: Aws
) -> None:
    changed, revoked = aws.new_key(), aws.new_key()

    def limit(key: str) -> str:
        try:
            return str(gateway.sdk(key).models.with_raw_response.list().headers["x-ratelimit-limit-requests"])
        except openai.AuthenticationError:
            return "refused"

    def change(key: str, attribute: str, value: dict[str, str]) -> None:
        aws.client("dynamodb").update_item(
            TableName=TABLE,
            Key=key_address(hash_key(PEPPER, key)),
            UpdateExpression="SET #a = :v",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":v": value},
        )

    assert (limit(changed), limit(revoked)) == ("1000000", "1000000")
    change(changed, "requests_per_minute", {"N": "777777"})
    change(revoked, "status", {"S": "revoked"})
    until(lambda: (limit(changed), limit(revoked)) == ("777777", "refused"), 5.0, "the change")


def test_the_limit_of_a_key_is_exact(gateway: Gateway, aws: Aws, stand_in: StandIn) -> None:
    key = aws.new_key(requests_per_minute=5)
    body = json.dumps({"model": MODEL, "messages": messages()}).encode()
    answers = [post(gateway, body, key=key) for _ in range(5)]
    assert [a.status_code for a in answers] == [200] * 5
    assert [a.headers["x-ratelimit-remaining-requests"] for a in answers] == ["4", "3", "2", "1", "0"]
    refused = post(gateway, body, key=key)
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    wait_ms = int(refused.headers["retry-after-ms"])
    assert 0 < wait_ms <= 12_000
    assert int(refused.headers["retry-after"]) == -(-wait_ms // 1000)
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    again = post(gateway, body, key=key)
    assert int(again.headers["retry-after-ms"]) <= wait_ms, "a refusal must not be counted"
    assert stand_in.calls()["total"] == 5
    line = log_line(gateway, refused.headers["x-request-id"])
    assert (line["status"], line["error"]) == (429, "rate_limit_exceeded")


def test_the_sdk_retries_a_limit_as_told_and_passes(gateway: Gateway, aws: Aws) -> None:
    key = aws.new_key(requests_per_minute=30)
    client = gateway.sdk(key=key, max_retries=1)
    body = json.dumps({"model": MODEL, "messages": messages()}).encode()
    until(lambda: post(gateway, body, key=key).status_code == 429, 10.0)
    assert client.chat.completions.create(model=MODEL, messages=messages()).choices


def test_a_hit_costs_nothing_of_the_limit(gateway: Gateway, aws: Aws, stand_in: StandIn) -> None:
    key = aws.new_key(requests_per_minute=1)
    body = json.dumps({"model": MODEL, "messages": messages(), "temperature": 0}).encode()
    assert post(gateway, body, key=key).status_code == 200
    assert [post(gateway, body, key=key).status_code for _ in range(3)] == [200] * 3
    assert stand_in.calls()["total"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_supported"),
        ("DELETE", "/v1/models/x", 405, "method_not_supported"),
        ("POST", "/v1/models", 405, "method_not_supported"),
        ("POST", "/v1/audio/speech", 404, "unknown_url"),
        ("GET", "/v1/models/", 404, "unknown_url"),
        ("GET", "/", 404, "unknown_url"),
        ("GET", "/v1/%2e%2e/healthz", 404, "unknown_url"),
        ("POST", "/healthz", 405, "method_not_supported"),
    ],
)
def test_what_is_not_there_is_openais_error(
    gateway: Gateway, method: str, path: str, status: int, code: str
) -> None:
    answer = httpx2.request(method, gateway.url + path, headers={"authorization": f"Bearer {gateway.key}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-request-id"]


def test_the_upstreams_refusals_reach_the_caller_as_they_are(gateway: Gateway, stand_in: StandIn) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        gateway.sdk().chat.completions.create(model="nonexistent-model", messages=messages())
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    for status, kind in ((400, openai.BadRequestError), (422, openai.UnprocessableEntityError)):
        for stream in (False, True):
            stand_in.behave(status=status)
            with pytest.raises(kind) as refused:
                gateway.sdk().chat.completions.create(model=MODEL, messages=messages(), stream=stream)
            assert f"Failed with {status}" in refused.value.message


def test_a_body_that_is_too_large_is_refused_before_it_is_read(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {gateway.key}\r\ncontent-length: {10**12}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_bounded_too(gateway: Gateway, stand_in: StandIn) -> None:
    def endless() -> Any:
        yield b'{"model":"'
        for _ in range(20):
            yield b"x" * 2**20

    answer = httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        content=endless(),
        headers={"authorization": f"Bearer {gateway.key}"},
        timeout=15,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert stand_in.calls()["total"] == 0


def test_an_encoded_body_is_refused(gateway: Gateway) -> None:
    answer = post(gateway, b"x", content_encoding="gzip")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_content_encoding")


def test_a_wrong_field_is_named_and_not_counted(gateway: Gateway, aws: Aws, stand_in: StandIn) -> None:
    key = aws.new_key(requests_per_minute=1)
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.sdk(key=key).chat.completions.create(model=MODEL, messages=messages(), temperature=7)
    assert refused.value.param == "temperature"
    assert gateway.sdk(key=key).chat.completions.create(model=MODEL, messages=messages()).choices
    assert stand_in.calls()["total"] == 1
