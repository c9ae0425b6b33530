"""The stand-in as an ASGI application.

OpenAI's: POST to the paths of ENDPOINTS, GET /v1/models, GET /v1/models/{id}, /v1/files and /v1/batches. Its
own, without a key:

- GET /stand-in/calls: what it was asked (see `calls.py`); DELETE forgets it
- PUT /stand-in/behaviour: {"behaviour": {…}, "times": N} for the next N calls, every call without times;
  DELETE ends it
- PUT /stand-in/batches: {"held": true} keeps batches in progress, false lets them go; with {"done": N} they
  expire, or are cancelled, after N of their requests; with {"cut": true} the connection is dropped once a
  batch is made, with {"failing": 502} whoever made a batch or a file is told that; with {"unreadable": true}
  contents are answered with 500; DELETE forgets all
- PUT /stand-in/key: {"key": "sk-…"}: from now on the only key that is accepted, as after a rotation
"""

import asyncio
import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from local.stand_in import behaviour, chat, completions, embeddings, models, moderations, responses
from local.stand_in.answers import DONE, Answer, BadRequestError
from local.stand_in.batches import Asked, Batches, NotThereError
from local.stand_in.behaviour import BadBehaviourError, Behaviour
from local.stand_in.calls import Call, Calls

Headers = list[tuple[bytes, bytes]]
JSON: Headers = [(b"content-type", b"application/json")]
EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]

Texts = Callable[[dict[str, Any]], list[str]]
Answers = Callable[[dict[str, Any], Behaviour], Answer]

ENDPOINTS: dict[str, tuple[Texts, Answers]] = {
    "/v1/chat/completions": (chat.texts, chat.ChatCompletion),
    "/v1/responses": (responses.texts, responses.Response),
    "/v1/completions": (completions.texts, completions.Completion),
    "/v1/embeddings": (embeddings.texts, embeddings.Embeddings),
    "/v1/moderations": (moderations.texts, moderations.Moderation),
}
"""For each path: what takes the texts from a request, and what answers it."""

CUT = "stand_in.cut"
"""The ASGI extension that `__main__.py` gives: {"abort": a function that drops the connection}."""


class CutError(Exception):
    """Breaks the connection off on purpose, whatever was sent."""


class ClientGoneError(Exception):
    """The client left before its answer was complete."""


class StandIn:
    """One stand-in. `key`: the only key that is accepted, None for any."""

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._calls = Calls()
        self._batches = Batches(_answer_line)
        self._set: Behaviour | None = None
        self._times: int | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        body = await _read(receive)
        if path.startswith("/stand-in/"):
            await self._control(method, path, body, send)
            return
        request_id = "req_" + secrets.token_hex(16)
        call = self._calls.begin(f"{method} {path}", request_id, scope["headers"], body)
        outcome = "answered"
        try:
            await self._answer(scope, body, call, _Reply(send, receive, request_id))
        except ClientGoneError:
            outcome = "client_gone"
        except CutError:
            outcome = "cut"
            scope["extensions"][CUT]["abort"]()
        finally:
            self._calls.end(call, outcome)

    async def _answer(self, scope: Scope, body: bytes, call: Call, reply: "_Reply") -> None:
        path, method, headers = scope["path"], scope["method"], scope["headers"]
        if not self._is_accepted(headers):
            await reply.error(401, "The API key is wrong.", code="invalid_api_key")
        elif path in ENDPOINTS and method == "POST":
            await self._ask(path, body, call, reply)
        elif path == "/v1/models" and method == "GET":
            await reply.json(models.listing())
        elif path.startswith("/v1/models/") and method == "GET":
            model = path.removeprefix("/v1/models/")
            if models.is_known(model):
                await reply.json(models.describe(model))
            else:
                await _unknown_model(reply, model)
        elif path.startswith(("/v1/files", "/v1/batches")):
            content_type = next((value for name, value in headers if name == b"content-type"), b"")
            query = scope["query_string"].decode()
            asked = Asked(method, path.removeprefix("/v1"), query, content_type.decode("latin-1"), body)
            await self._ask_batches(asked, reply)
        else:
            await reply.error(404, f"There is nothing at {method} {path}.")

    async def _ask_batches(self, asked: Asked, reply: "_Reply") -> None:
        try:
            answer = self._batches.answer(asked)
        except NotThereError as missing:
            await reply.error(404, str(missing), param="id")
        except BadRequestError as bad:
            await reply.error(400, str(bad), param=bad.param)
        else:
            if self._batches.cut and (asked.method, asked.path) == ("POST", "/batches"):
                raise CutError
            makes = asked.method == "POST" and asked.path in ("/files", "/batches")
            if makes and self._batches.failing is not None:
                await reply.failure(self._batches.failing, None)
            elif isinstance(answer, bytes) and self._batches.unreadable:
                await reply.error(500, "The content cannot be read.")
            elif isinstance(answer, bytes):
                await reply.bytes(200, answer, [(b"content-type", b"application/octet-stream")])
            else:
                await reply.json(answer)

    async def _ask(self, path: str, body: bytes, call: Call, reply: "_Reply") -> None:
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            await reply.error(400, "The body is not JSON.")
            return
        if isinstance(request, dict) and path == "/v1/moderations":
            request.setdefault("model", moderations.DEFAULT_MODEL)
        model = request.get("model") if isinstance(request, dict) else None
        if not isinstance(model, str):
            await reply.error(400, "model is missing.", param="model")
            return
        if not models.is_known(model):
            await _unknown_model(reply, model)
            return
        take_texts, answers = ENDPOINTS[path]
        try:
            behaves = self._behaviour(model, take_texts(request))
            answer = answers(request, behaves)
            frames = answer.frames(with_usage=not behaves.without_usage) if request.get("stream") else None
        except (BadRequestError, BadBehaviourError) as bad:
            await reply.error(400, str(bad), param=getattr(bad, "param", "messages"))
            return
        await reply.wait(behaves.delay_ms)
        if behaves.status is not None:
            await reply.failure(behaves.status, behaves.retry_after_ms)
            return
        if behaves.cut_after == 0:
            raise CutError
        if answer.tokens is not None:
            call.prompt_tokens, call.completion_tokens = answer.tokens.prompt, answer.tokens.completion
            call.total_tokens = answer.tokens.total
        if frames is not None:
            await _stream(answer, frames, behaves, reply)
        else:
            await _whole(answer, behaves, reply)

    def _behaviour(self, model: str, texts: list[str]) -> Behaviour:
        asked = behaviour.asked_for(model, texts)
        if asked is not None or self._set is None:
            return asked or behaviour.NORMAL
        active = self._set
        if self._times is not None:
            self._times -= 1
            if self._times <= 0:
                self._set = None
        return active

    def _is_accepted(self, headers: Headers) -> bool:
        authorization = next((value for name, value in headers if name == b"authorization"), b"")
        if self._key is None:
            return authorization.startswith(b"Bearer ")
        return hmac.compare_digest(authorization, b"Bearer " + self._key.encode())

    async def _control(self, method: str, path: str, body: bytes, send: Send) -> None:
        status, answer = 200, {}
        try:
            match method, path:
                case "GET", "/stand-in/calls":
                    answer = self._calls.report()
                case "DELETE", "/stand-in/calls":
                    self._calls.reset()
                case "PUT", "/stand-in/behaviour":
                    asked = orjson.loads(body)
                    self._set = behaviour.parse(asked["behaviour"])
                    self._times = asked.get("times")
                case "DELETE", "/stand-in/behaviour":
                    self._set = None
                case "PUT", "/stand-in/batches":
                    told = orjson.loads(body)
                    self._batches.held, self._batches.done = bool(told["held"]), told.get("done")
                    self._batches.cut, self._batches.failing = bool(told.get("cut")), told.get("failing")
                    self._batches.unreadable = bool(told.get("unreadable"))
                case "DELETE", "/stand-in/batches":
                    self._batches.reset()
                case "PUT", "/stand-in/key":
                    self._key = str(orjson.loads(body)["key"])
                case _:
                    status, answer = 404, {"error": "see local/stand_in/server.py for what there is"}
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, BadBehaviourError) as wrong:
            status, answer = 400, {"error": f"not understood: {wrong}"}
        data = orjson.dumps(answer)
        await send({"type": "http.response.start", "status": status, "headers": [*JSON, _length(data)]})
        await send({"type": "http.response.body", "body": data})


def _answer_line(path: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What answers a line of a batch."""
    try:
        take_texts, answers = ENDPOINTS[path]
        model = str(request.get("model") or moderations.DEFAULT_MODEL)
        behaves = behaviour.asked_for(model, take_texts(request)) or behaviour.NORMAL
        if behaves.status is None and models.is_known(model):
            whole = answers({**request, "model": model}, behaves).whole(with_usage=not behaves.without_usage)
            return 200, whole
        status, message = behaves.status or 404, f"Failed on model {model[:100]!r}."
    except (KeyError, BadRequestError, BadBehaviourError) as bad:
        status, message = 400, str(bad)
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return status, {"error": error}


async def _whole(answer: Answer, behaves: Behaviour, reply: "_Reply") -> None:
    if behaves.malformed:
        await reply.bytes(200, b'{"id": "chatcmpl-', JSON)
    elif behaves.cut_after is not None:
        data = orjson.dumps(answer.whole(with_usage=True))
        await reply.begin(200, [*JSON, _length(data)])
        await reply.write(data[: len(data) // 2])
        raise CutError
    else:
        await reply.json(answer.whole(with_usage=not behaves.without_usage))


async def _stream(answer: Answer, frames: Iterator[bytes], behaves: Behaviour, reply: "_Reply") -> None:
    await reply.begin(200, EVENTS)
    for index, frame in enumerate(frames):
        if frame != DONE:
            await reply.wait(behaves.chunk_delay_ms)
        if behaves.cut_after is not None and index >= behaves.cut_after:
            # Half an event first, as when a connection breaks in the middle of a packet.
            await reply.write(frame[: len(frame) // 2])
            raise CutError
        if behaves.error_after is not None and index >= behaves.error_after:
            await reply.end(answer.error_frame("The model failed."))
            return
        if behaves.end_after is not None and index >= behaves.end_after:
            await reply.end(b"")
            return
        if behaves.malformed and index == 1:
            await reply.end(b"data: this is not JSON\n\n")
            return
        await reply.write(frame)
    await reply.end(b"")


async def _unknown_model(reply: "_Reply", model: str) -> None:
    await reply.error(404, f"There is no model {model[:100]!r}.", param="model", code="model_not_found")


class _Reply:
    """One answer with OpenAI's headers; its waits end when the client leaves."""

    def __init__(self, send: Send, receive: Receive, request_id: str) -> None:
        self._send = send
        self._receive = receive
        self._headers: Headers = [
            (b"x-request-id", request_id.encode()),
            (b"openai-organization", b"org-stand-in"),
            (b"openai-processing-ms", b"1"),
            (b"openai-version", b"2020-10-01"),
            (b"x-ratelimit-limit-requests", b"10000"),
            (b"x-ratelimit-remaining-requests", b"9999"),
            (b"x-ratelimit-reset-requests", b"6ms"),
        ]

    async def wait(self, delay_ms: int) -> None:
        """Lets time pass. Raises ClientGoneError."""
        if delay_ms:
            try:
                async with asyncio.timeout(delay_ms / 1000):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
            except TimeoutError:
                return
            raise ClientGoneError

    async def begin(self, status: int, headers: Headers) -> None:
        await self._send(
            {"type": "http.response.start", "status": status, "headers": [*self._headers, *headers]}
        )

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data})

    async def bytes(self, status: int, data: bytes, headers: Headers) -> None:
        await self.begin(status, [*headers, _length(data)])
        await self.end(data)

    async def json(self, value: dict[str, Any]) -> None:
        await self.bytes(200, orjson.dumps(value), JSON)

    async def error(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        error = {"message": message, "type": kind, "param": param, "code": code}
        await self.bytes(status, orjson.dumps({"error": error}), [*JSON, *(headers or [])])

    async def failure(self, status: int, retry_after_ms: int | None) -> None:
        """The error that OpenAI answers with this status."""
        headers: Headers = []
        if retry_after_ms is not None:
            headers = [
                (b"retry-after", str(-(-retry_after_ms // 1000)).encode()),
                (b"retry-after-ms", str(retry_after_ms).encode()),
            ]
        if status == 429:
            await self.error(
                429, "Too many requests.", kind="requests", code="rate_limit_exceeded", headers=headers
            )
        else:
            kind = "server_error" if status >= 500 else "invalid_request_error"
            await self.error(status, f"Failed with {status}, as asked.", kind=kind, headers=headers)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    return body


def _length(data: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", str(len(data)).encode())
