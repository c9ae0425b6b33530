"""What is no HTTP, or no end of it: refused in OpenAI's form, in bounded time and memory."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app import protocol
from app.protocol import MAX_HEAD_BYTES, WHOLE_ANSWER, BoundedProtocol
from tests.app.conftest import Gateway, StandIn
from tests.servers import until


def exchange(port: int, *parts: bytes, within_s: float = 5.0) -> tuple[int, dict[str, Any]]:
    """Sends the parts; returns the status and the JSON of the answer, with the connection closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
        connection.settimeout(within_s)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < _length(answer):
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    return int(head.split(b" ")[1]), json.loads(body)["error"]


def _length(answer: bytes) -> int:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /v1/mod\xc3\xa9ls HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        POST + b"bad header\r\n\r\n",
        POST + b"a\x00b: c\r\n\r\n",
        POST + b"content-length: -5\r\n\r\n",
        POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"transfer-encoding: chunked\r\n\r\nnot a size\r\n",
    ],
    ids=lambda value: repr(value[-30:]),
)
def test_what_is_no_http_is_a_400_in_openais_form(gateway: Gateway, request_bytes: bytes) -> None:
    status, error = exchange(gateway.port, request_bytes)
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", "malformed_request")


def test_a_head_without_an_end_is_refused(gateway: Gateway, stand_in: StandIn) -> None:
    memory = psutil.Process(gateway.program.popen.pid)
    before = memory.memory_info().rss
    for head in (
        POST + b"a: " + b"x" * 200_000,
        POST + b"a: b\r\n" * 40_000,
        b"GET /" + b"x" * 200_000,
        b"\r\n" * 100_000,
    ):
        pieces = [head[at : at + 16_384] for at in range(0, len(head), 16_384)]
        status, error = exchange(gateway.port, *pieces)
        assert (status, error["code"]) == (431, "headers_too_large")
    assert memory.memory_info().rss - before < 20 * 2**20
    assert stand_in.calls()["total"] == 0


def test_a_refusal_reaches_a_client_that_is_still_sending(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(POST + b"a: " + b"x" * 400_000)
        gateway.program.said("refused_connection", code="headers_too_large")
        for _ in range(10):
            connection.sendall(b"x" * 20_000)
        answer = b""
        while received := connection.recv(65536):
            answer += received
        assert answer.startswith(b"HTTP/1.1 431 "), "an end in good order, not a reset"


def test_trailers_and_framing_without_an_end_are_refused(gateway: Gateway) -> None:
    chunked = (
        POST + b"transfer-encoding: chunked\r\nauthorization: Bearer " + gateway.key.encode() + b"\r\n\r\n"
    )
    status, error = exchange(
        gateway.port, chunked, b"1\r\n{\r\n0\r\n", *[b"a: " + b"b" * 16_000 + b"\r\n"] * 40
    )
    assert (status, error["code"]) == (431, "headers_too_large")


def test_small_chunks_pass(gateway: Gateway) -> None:
    body = b'{"model":"m"}' + b" " * 50_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = POST + b"transfer-encoding: chunked\r\nauthorization: Bearer " + gateway.key.encode() + b"\r\n\r\n"
    status, error = exchange(gateway.port, head, chunks)
    assert (status, error["param"]) == (400, "messages")


def test_an_upgrade_that_is_not_offered_is_ignored(gateway: Gateway) -> None:
    body = b'{"model":"m"}'
    for upgrade in (b"h2c", b"websocket"):
        head = POST + b"connection: Upgrade, HTTP2-Settings\r\nupgrade: " + upgrade + b"\r\n"
        head += b"authorization: Bearer " + gateway.key.encode() + b"\r\ncontent-length: 13\r\n\r\n"
        status, error = exchange(gateway.port, head + body)
        assert (status, error["param"]) == (400, "messages")


def test_garbage_after_a_request_spoils_no_answer(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = connection.recv(4096)
        while not answer.endswith(b'{"status":"serving"}'):
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"garbage\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
async def slow_port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server of this process, whose requests must be complete in no time."""
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.3)

    async def reads_its_body(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async with serving(reads_its_body) as port:
        yield port


@asynccontextmanager
async def serving(application: ASGIApp) -> AsyncIterator[int]:
    config = uvicorn.Config(
        application, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    served = asyncio.create_task(server._serve())
    await asyncio.to_thread(until, lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await served


@pytest.mark.parametrize(
    "part", [b"GET / HT", POST + b"content-length: 5\r\n\r\n", POST + b"content-length: 5\r\n\r\nab"]
)
async def test_a_request_that_does_not_end_is_told_so_and_closed(slow_port: int, part: bytes) -> None:
    began = time.monotonic()
    status, error = await asyncio.to_thread(exchange, slow_port, part)
    assert (status, error["code"]) == (408, "request_timeout")
    assert time.monotonic() - began < 3


async def test_a_connection_that_waits_between_requests_stays(slow_port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", slow_port)
    for _ in range(2):
        writer.write(b"GET /x HTTP/1.1\r\nhost: x\r\n")
        await writer.drain()
        writer.write(b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"0\r\n\r\n")
        await asyncio.to_thread(until, _passed(0.5))
    writer.close()


def _passed(seconds: float) -> Any:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def test_the_bound_is_that_of_the_balancer() -> None:
    assert MAX_HEAD_BYTES == 65_536


async def answers_whole(scope: Scope, receive: Receive, _send: Send) -> None:
    await receive()
    value = bytes.fromhex(scope["query_string"].decode())
    headers = [(b"content-length", b"5"), (b"x-value", value)]
    if scope["path"] == "/last":
        headers.append((b"connection", b"close"))
    await scope["extensions"][WHOLE_ANSWER]["send"](200, headers, b"whole")


def raw(port: int, requests: bytes) -> bytes:
    """What comes until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(requests)
        answer = b""
        while received := connection.recv(65536):
            answer += received
        return answer


async def test_a_whole_answer_keeps_the_connection_and_closes_it_when_told() -> None:
    async with serving(answers_whole) as port:
        requests = b"GET /?61 HTTP/1.1\r\n\r\nHEAD /?62 HTTP/1.1\r\n\r\nGET /last?63 HTTP/1.1\r\n\r\n"
        answer = await asyncio.to_thread(raw, port, requests)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert answer.count(b"whole") == 2, "HEAD has no body"
        assert [part[:1] for part in answer.split(b"x-value: ")[1:]] == [b"a", b"b", b"c"]
        old = await asyncio.to_thread(raw, port, b"GET /?61 HTTP/1.0\r\n\r\n")
        assert b"connection: close\r\n" in old


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_whole_answer_takes_no_header_that_would_be_two(value: bytes) -> None:
    async with serving(answers_whole) as port:
        request = b"GET /?%b HTTP/1.1\r\nconnection: close\r\n\r\n" % value.hex().encode()
        answer = await asyncio.to_thread(raw, port, request)
        assert b"a" not in answer.partition(b"x-value: ")[2]
        assert not answer.startswith(b"HTTP/1.1 200")
