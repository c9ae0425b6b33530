"""Bytes in, the same bytes out, whatever a parser would have made of them; and which headers cross."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from tests.app.conftest import OPENAI_KEY, ORGANIZATION, Aws, Gateway, StartGateway

JSON_BODY = (
    '{ "id":"x\\u00e9é🙂","choices":[{"index":0,"message":{"role":"assistant","content":"\\ud83d\\ude42"}}],'
    '\n\t"output":[],"status":"completed","data":[{"embedding":[1.0,1e-7,0.10000000000000000555]}],'
    '"results":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},'
    '"new":{"n":12345678901234567890123,"f":1.50,"e":1E5,"dup":1,"dup":2}, "/":"\\/" }\r\n'
).encode()

CHAT_EVENTS = (
    b": first\n\n"
    b'data: {"id":"c" , "choices":[{"index":0,"delta":{"content":"\\u00e9 \xc3\xa9"}}],'
    b'"n":1.50,"big":12345678901234567890}\n\n'
    b'id: 7\r\nevent: odd\r\ndata: {"choices":[{"index":0,\r\ndata: "delta":{}}]}\r\n\r\n'
    b'data:{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"retry: 10\n\n"
    b"data: [DONE]\n\n"
)
USAGE_EVENT = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}\n\n'
RESPONSE_EVENTS = (
    b"event: response.created\n"
    b'data: {"type":"response.created","sequence_number":0,"response":{"x":1.50}}\n\n'
    b'event: response.new\ndata: {"type":"response.new","sequence_number":1,"a":"\\u00e9 \xc3\xa9"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","sequence_number":2,"response":'
    b'{"usage":{"input_tokens":3,"output_tokens":4,"total_tokens":7}}}\n\n'
)

REQUESTS = {
    "/chat/completions": '{"model":"m" , "messages":[{"role":"user","content":"\\u00e9 é 🙂"}],',
    "/responses": '{"model":"m" , "input":[{"role":"user","content":"\\u00e9 é 🙂"}],',
    "/completions": '{"model":"m" , "prompt":"\\u00e9 é 🙂",',
    "/embeddings": '{"model":"m" , "input":"\\u00e9 é 🙂",',
    "/moderations": '{"model":"m" , "input":"\\u00e9 é 🙂",',
}
ODD = '"temperature":1.50,"new_field":{"n":12345678901234567890123,"f":1E2,"dup":1,"dup":2}'


class Upstream:
    """An upstream that answers with given bytes and remembers the last request."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {"content-type": "application/json"}
        self.answer = JSON_BODY
        self.asked: tuple[dict[str, str], bytes] = ({}, b"")
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                received = {name.lower(): value for name, value in self.headers.items()}
                upstream.asked = (received, self.rfile.read(length))
                self.send_response(upstream.status)
                for name, value in upstream.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(upstream.answer)))
                self.end_headers()
                self.wfile.write(upstream.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def _served(start_gateway: StartGateway) -> Iterator[tuple[Upstream, Gateway]]:
    upstream = Upstream()
    with start_gateway(GATEWAY_OPENAI_BASE_URL=upstream.url) as gateway:
        yield upstream, gateway
    upstream.close()


@pytest.fixture
def upstream(_served: tuple[Upstream, Gateway]) -> Upstream:
    served = _served[0]
    served.status, served.answer = 200, JSON_BODY
    served.headers = {"content-type": "application/json"}
    return served


@pytest.fixture
def passing(_served: tuple[Upstream, Gateway]) -> Gateway:
    """The gateway before that upstream."""
    return _served[1]


def post(gateway: Gateway, path: str, body: bytes, **headers: str) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1{path}",
        content=body,
        headers={
            "authorization": f"Bearer {gateway.key}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        timeout=15,
    )


@pytest.mark.parametrize("path", REQUESTS)
def test_a_plain_request_and_its_answer_keep_every_byte(
    passing: Gateway, upstream: Upstream, path: str
) -> None:
    body = (" " + REQUESTS[path] + ODD + "}\n").encode()
    answer = post(passing, path, body)
    assert answer.status_code == 200
    assert upstream.asked[1] == body
    assert answer.content == JSON_BODY
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
@pytest.mark.parametrize("include_usage", [False, True])
def test_a_stream_keeps_every_byte_but_the_usage_nobody_asked_for(
    passing: Gateway, upstream: Upstream, path: str, include_usage: bool
) -> None:
    upstream.headers = {"content-type": "text/event-stream"}
    upstream.answer = CHAT_EVENTS.replace(b"retry:", USAGE_EVENT + b"retry:")
    rest = (ODD + ',"stream":true}').encode()
    asked = REQUESTS[path].encode()
    option = b'"stream_options":{"include_usage":true},'
    answer = post(passing, path, asked + (option if include_usage else b"") + rest)
    assert answer.content == (upstream.answer if include_usage else CHAT_EVENTS)
    sent = upstream.asked[1]
    assert sent == (asked + option + rest if include_usage else b"{" + option + asked[1:] + rest)
    line = passing.program.said("request", request_id=answer.headers["x-request-id"])
    assert line["total_tokens"] == 7


def test_a_streamed_response_keeps_every_byte(passing: Gateway, upstream: Upstream) -> None:
    upstream.headers = {"content-type": "text/event-stream; charset=utf-8"}
    upstream.answer = RESPONSE_EVENTS
    body = (REQUESTS["/responses"] + ODD + ',"stream":true}').encode()
    answer = post(passing, "/responses", body)
    assert upstream.asked[1] == body
    assert answer.content == RESPONSE_EVENTS
    line = passing.program.said("request", request_id=answer.headers["x-request-id"])
    assert line["total_tokens"] == 7


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_keeps_every_byte(passing: Gateway, upstream: Upstream, path: str, status: int) -> None:
    upstream.status = status
    upstream.answer = b'{ "error":{"message":"\\u00e9","type":"t","param":"p","code":null,"n":1.50} }\n'
    for stream in ("false", "true"):
        answer = post(passing, path, (REQUESTS[path] + f'"stream":{stream}}}').encode())
        assert (answer.status_code, answer.content) == (status, upstream.answer)


def test_only_listed_headers_cross(passing: Gateway, upstream: Upstream) -> None:
    upstream.headers = {
        "content-type": "application/json; charset=utf-8",
        "openai-version": "2020-10-01",
        "openai-organization": "org-upstream",
        "openai-processing-ms": "123456",
        "x-request-id": "req_upstream",
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-tokens": "4",
        "set-cookie": "a=b",
        "cf-ray": "1",
        "server": "cloud",
        "x-secret": OPENAI_KEY,
    }
    answer = post(
        passing,
        "/chat/completions",
        (REQUESTS["/chat/completions"] + ODD + "}").encode(),
        cookie="c=d",
        x_forwarded_for="10.0.0.1",
        x_stainless_lang="python",
        openai_organization=ORGANIZATION,
        openai_beta="assistants=v2",
        idempotency_key="once",
        x_client_request_id="mine",
        user_agent="someone/1.0",
    )
    assert answer.headers["x-request-id"] not in ("req_upstream", "mine")
    assert answer.headers["openai-organization"] == ORGANIZATION
    assert answer.headers["openai-version"] == "2020-10-01"
    assert int(answer.headers["openai-processing-ms"]) < 123456
    assert answer.headers["x-ratelimit-limit-requests"] == "1000000"
    own_tokens = answer.headers.get("x-ratelimit-remaining-tokens")
    assert own_tokens != "4"
    assert not {"set-cookie", "cf-ray", "server", "x-secret"} & set(answer.headers)
    assert OPENAI_KEY not in repr(answer.headers) + answer.text
    received = upstream.asked[0]
    assert received["authorization"] == f"Bearer {OPENAI_KEY}"
    assert received["openai-beta"] == "assistants=v2"
    assert received["x-client-request-id"] == "mine"
    assert not {"cookie", "x-forwarded-for", "x-stainless-lang", "openai-organization"} & set(received)
    assert "someone" not in received["user-agent"]
    assert passing.key not in repr(received)


def test_an_idempotency_key_is_the_projects_own(passing: Gateway, upstream: Upstream, aws: Aws) -> None:
    def sent(key: str, idempotency_key: str) -> str:
        body = (REQUESTS["/responses"] + ODD + "}").encode()
        answer = httpx2.post(
            f"{passing.url}/v1/responses",
            content=body,
            headers={"authorization": f"Bearer {key}", "idempotency-key": idempotency_key},
            timeout=15,
        )
        assert answer.status_code == 200
        return upstream.asked[0]["idempotency-key"]

    first = sent(passing.key, "once")
    assert first == sent(aws.new_key(), "once")
    assert first != sent(passing.key, "twice")
    assert first != sent(aws.new_key(project_id="proj_second"), "once")
