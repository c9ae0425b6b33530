"""What a batch used: the usage of the lines of its output file, each priced as a request of its own.

Form of a line: OpenAI's API reference, "The request output object".
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from app import errors
from app.endpoints import Endpoint
from app.prices import NO_SHARES, Price, Shares
from app.upstream.answers import MAX_ANSWER_BYTES
from app.usage import Usage

_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


@dataclass(slots=True)
class Used:
    """The sum of the lines so far that were answered. untold: some did not say what they used."""

    requests: int = 0
    usage: Usage | None = None
    micro_usd: int = 0
    shares: Shares = NO_SHARES
    untold: bool = False

    def add(self, line: bytes, endpoint: Endpoint, price: Price | None) -> None:
        told = _told(line)
        if told.get("error") or (told.get("status_code") or 200) >= 400:
            return
        body = told.get("body")
        usage = endpoint.usage_of(body) if isinstance(body, dict) else None
        self.requests += 1
        if usage is None:
            self.untold = True
            return
        known = self.usage or Usage(0, 0, 0)
        self.usage = Usage(*(getattr(known, name) + getattr(usage, name) for name in _COUNTS))
        if price is not None:
            self.micro_usd += price.cost(usage)
            cached, completion = price.shares(usage)
            self.shares = Shares(
                self.shares.cached_micro_usd + cached, self.shares.completion_micro_usd + completion
            )


def _told(line: bytes) -> dict[str, Any]:
    """Status and body of a line's answer, or its error; nothing when neither can be found."""
    try:
        told = orjson.loads(line)
        return dict(told["response"] or {"error": told.get("error")})
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return {}


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a file that have something on them. Raises ApiError when one is larger than any answer."""
    rest = b""
    while chunk := await content.readany():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_ANSWER_BYTES:
            raise errors.upstream_malformed()
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest
