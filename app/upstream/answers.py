"""What of an upstream's answer passes to the caller: listed headers, understood bodies, and never our key."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import orjson

from app import errors
from app.errors import ApiError, Header
from app.exchange import JSON
from app.upstream.retries import may_be_charged

MAX_ANSWER_BYTES = 64 * 1024 * 1024

RETURNED_HEADERS = ("openai-version", "retry-after", "retry-after-ms", "x-should-retry")


@dataclass(slots=True)
class Answer:
    """A complete answer. `value`: the body as JSON, when it is an object."""

    status: int
    headers: tuple[Header, ...]
    body: bytes
    value: dict[str, object]


class UpstreamRefusal(Exception):  # noqa: N818 (an answer, not a fault)
    """The upstream answered with an error, which the caller may see as it is, where a stream or a file's
    content was to come."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer

    def error(self) -> Mapping[str, object]:
        """OpenAI's error object, or what stands in its place."""
        error = self.answer.value.get("error")
        return error if isinstance(error, dict) else {"message": str(error)}


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises ApiError when it is too large, and what the connection raises."""
    content = response.content
    first = await content.readany()
    # Most come in one piece.
    if content.at_eof():
        return first
    chunks = [first]
    size = len(first)
    while chunk := await content.readany():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise errors.upstream_malformed()
        chunks.append(chunk)
    return b"".join(chunks)


def checked(response: aiohttp.ClientResponse, body: bytes, key: str) -> Answer:
    """The answer, when it is one that may be passed on. `key`: ours. Raises ApiError."""
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
    if status >= 400 and key.encode() in body:
        raise _unreadable(status)
    headers = [JSON]
    for name in RETURNED_HEADERS:
        text = response.headers.get(name)
        if text is not None:
            headers.append((name.encode(), text.encode("latin-1", "replace")))
    return Answer(status, tuple(headers), body, value)


def error_code(body: bytes) -> str | None:
    """The code of OpenAI's error object, None when the body is none."""
    try:
        code = orjson.loads(body)["error"]["code"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None


def _unreadable(status: int) -> ApiError:
    if status >= 500 and not may_be_charged(status):
        return errors.upstream_failed(status)
    return errors.upstream_malformed()
