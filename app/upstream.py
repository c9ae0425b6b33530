"""Calls to the OpenAI API: pooled connections, one deadline, a wall between the caller's key and ours.

Only headers on a list cross in either direction. The upstream's word on the gateway's own key (401) never
reaches the caller; its other refusals do, as they are.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import orjson

from app import errors
from app.errors import ApiError, Header
from app.exchange import JSON, Exchange
from app.vault import RotatingSecret

MAX_CONNECTIONS = 1000
CONNECT_TIMEOUT_S = 10.0
IDLE_CONNECTION_S = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_FAILURES = (TimeoutError, aiohttp.ClientError, OSError)

FORWARDED_REQUEST_HEADERS = (b"idempotency-key", b"openai-beta", b"x-client-request-id")
RETURNED_HEADERS = ("openai-version", "retry-after", "retry-after-ms", "x-should-retry")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `value`: the body as JSON, when it is an object."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    value: dict[str, object]


class Upstream:
    """One pool of connections to one API, open between `open` and `close`."""

    def __init__(self, base_url: str, key: RotatingSecret[str], longest_s: float) -> None:
        self._base_url = base_url
        self._key = key
        self._longest_s = longest_s
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_CONNECTION_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent",),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def complete(self, method: str, path: str, exchange: Exchange, body: bytes | None = None) -> Answer:
        """Calls and reads the whole answer. Raises ApiError when there is none that a caller may see."""
        began = time.monotonic()
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(self._longest_s):
                response = await self._send(method, path, exchange, body)
                answered = await _read(response)
        except _FAILURES as failure:
            raise self._refusal(failure) from None
        finally:
            self._finish(response, exchange, began)
        return _checked(response, answered, self._key.value)

    @asynccontextmanager
    async def stream(
        self, path: str, exchange: Exchange, body: bytes
    ) -> "AsyncIterator[aiohttp.StreamReader]":
        """Calls for server-sent events; what is read within the block has the same deadline.

        Raises UpstreamRefusal, and ApiError, from reading as well: upstream_cut when the connection ends
        before the body does.
        """
        began = time.monotonic()
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(self._longest_s):
                response = await self._send("POST", path, exchange, body)
                if response.status != 200:
                    raise UpstreamRefusal(_checked(response, await _read(response), self._key.value))
                if response.content_type != "text/event-stream":
                    raise errors.upstream_malformed()
                yield response.content
        except _FAILURES as failure:
            raise self._refusal(failure) from None
        finally:
            self._finish(response, exchange, began)

    def _finish(self, response: aiohttp.ClientResponse | None, exchange: Exchange, began: float) -> None:
        if response is not None:
            # What was read to its end has given its connection back already. Otherwise the connection goes:
            # that is what stops the upstream's work.
            response.close()
        exchange.record.upstream_ms = round((time.monotonic() - began) * 1000, 3)

    def _refusal(self, failure: Exception) -> ApiError:
        match failure:
            case aiohttp.ServerTimeoutError():
                return errors.upstream_unreachable()
            case TimeoutError():
                return errors.upstream_too_slow(self._longest_s)
            case aiohttp.ClientPayloadError():
                return errors.upstream_cut()
            case aiohttp.ClientResponseError():
                return errors.upstream_malformed()
            case _:
                return errors.upstream_unreachable()

    async def _send(
        self, method: str, path: str, exchange: Exchange, body: bytes | None
    ) -> aiohttp.ClientResponse:
        key = self._key.value
        if key is None:
            raise errors.no_openai_key()
        response = await self._request(key, method, path, exchange, body)
        if response.status != 401:
            return response
        # Perhaps the key was rotated just now. A refusal was not charged, so asking once more is safe.
        response.close()
        await self._key.refresh()
        newer = self._key.value
        if newer is None or newer == key:
            raise errors.openai_key_refused()
        response = await self._request(newer, method, path, exchange, body)
        if response.status == 401:
            response.close()
            raise errors.openai_key_refused()
        return response

    async def _request(
        self, key: str, method: str, path: str, exchange: Exchange, body: bytes | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("open() comes first")
        response = await self._session.request(
            method,
            self._base_url + path,
            data=body,
            headers=_request_headers(exchange, key, body),
            allow_redirects=False,
        )
        exchange.record.upstream_status = response.status
        request_id = response.headers.get("x-request-id")
        exchange.record.upstream_request_id = request_id[:200] if request_id else None
        return response


class UpstreamRefusal(Exception):  # noqa: N818 (an answer, not a fault)
    """The upstream answered a request for a stream with an error that the caller may see as it is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _request_headers(exchange: Exchange, key: str, body: bytes | None) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {key}",
        "User-Agent": "openai-gateway",
        "Accept": "application/json, text/event-stream",
        # Bodies are read on their way, for usage and completeness.
        "Accept-Encoding": "identity",
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    for name in FORWARDED_REQUEST_HEADERS:
        value = exchange.header(name)
        if value is not None and value.isascii() and value.isprintable():
            headers[name.decode()] = value
    return headers


async def _read(response: aiohttp.ClientResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise errors.upstream_malformed()
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _checked(response: aiohttp.ClientResponse, body: bytes, key: str | None) -> Answer:
    """The answer, when it is one that may be passed on. Raises ApiError."""
    status = response.status
    if 300 <= status < 400 or status < 200:
        raise errors.upstream_malformed()
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    understood = isinstance(value, dict) and (status < 300 or "error" in value)
    if not understood:
        raise _unreadable(status)
    if status >= 400 and key and key.encode() in body:
        raise _unreadable(status)
    headers = [JSON]
    for name in RETURNED_HEADERS:
        text = response.headers.get(name)
        if text is not None:
            headers.append((name.encode(), text.encode("latin-1", "replace")))
    return Answer(status, tuple(headers), body, value)


def _unreadable(status: int) -> ApiError:
    if status >= 500:
        return errors.upstream_failed(status)
    return errors.upstream_malformed()
