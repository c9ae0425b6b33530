"""A call upstream: what is asked, for whom, within what time, and what has begun to come back."""

import asyncio
import hashlib
from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from app.endpoints.endpoint import Chain
from app.telemetry import RequestRecord
from app.upstream.answers import Answer, checked, read_body
from app.upstream.routes import Route

FORWARDED_REQUEST_HEADERS = (b"openai-beta", b"x-client-request-id")
_IDEMPOTENCY_KEY = b"idempotency-key"
_PASSED_ON = frozenset((*FORWARDED_REQUEST_HEADERS, _IDEMPOTENCY_KEY))


class Asking(Protocol):
    """Whom a call is made for: an Exchange, or what stands for several. `record` is told how it went."""

    @property
    def record(self) -> RequestRecord: ...
    def header(self, name: bytes) -> str | None: ...
    def has_any(self, names: Set[bytes]) -> bool: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What a call has of its own that is about what one account keeps: content_type of its body. once: done
    twice, there would be two of it, so it is not made again once it was answered as if it may have been done.
    """

    content_type: str = "application/json"
    once: bool = False


@dataclass(slots=True)
class Call:
    """What is asked. began: of the loop's clock. within_s: for all attempts together. kept: by the first
    deployment alone; None: any may answer."""

    method: str
    path: str
    body: bytes | None
    stream: bool
    chain: Chain | None
    exchange: Asking
    began: float
    within_s: float
    kept: Kept | None = None

    @property
    def deadline(self) -> float:
        return self.began + self.within_s

    @property
    def model(self) -> str:
        return self.exchange.record.model or ""

    def patience_s(self) -> float | None:
        """How long the model may take to begin before the next one is asked, None: no such bound."""
        return self.chain.first_byte_within_s if self.chain is not None and self.chain.following else None


class TooSlowError(Exception):
    """The model did not begin its answer in time, and another is to be asked."""


@dataclass(slots=True)
class Reply:
    """An answer that has begun. body: of a failure, which was read to its end already."""

    response: aiohttp.ClientResponse
    route: Route
    body: bytes | None = None

    async def answer(self) -> Answer:
        body = await read_body(self.response) if self.body is None else self.body
        return checked(self.response, body, self.route.deployment.key)


def finish(call: Call, reply: Reply | None) -> None:
    """Notes how long a call took, and lets go of a connection whose answer was not read to its end."""
    if reply is not None and reply.response.connection is not None:
        # What was read to its end has given its connection back already. Otherwise the connection goes:
        # that is what stops the upstream's work.
        reply.response.close()
    elapsed_s = asyncio.get_running_loop().time() - call.began
    call.exchange.record.upstream_ms = round(elapsed_s * 1000, 3)


def request_headers(call: Call, key: str) -> dict[str, str]:
    """What goes upstream beside the body: our key, and those of the caller's headers that are on a list."""
    exchange = call.exchange
    headers = {"Authorization": f"Bearer {key}"}
    if call.body is not None:
        headers["Content-Type"] = "application/json" if call.kept is None else call.kept.content_type
    if not exchange.has_any(_PASSED_ON):
        return headers
    for name in FORWARDED_REQUEST_HEADERS:
        value = exchange.header(name)
        if value is not None and value.isascii() and value.isprintable():
            headers[name.decode()] = value
    idempotency_key = exchange.header(_IDEMPOTENCY_KEY)
    if idempotency_key is not None:
        # All projects share one upstream key, and one project's answer must not be replayed to another.
        scoped = f"{exchange.record.project_id}\0{idempotency_key}".encode()
        headers["idempotency-key"] = hashlib.sha256(scoped).hexdigest()
    return headers
