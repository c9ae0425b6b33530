"""The stand-in's memory of its calls: counts for each endpoint, the last requests in full but for the key."""

import hashlib
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT_CALLS = 5000


@dataclass
class Call:
    """One request.

    key_hash: SHA-256 of the Authorization header, so that tests can compare and nothing leaks.
    outcome: "running", "answered", "cut" or "client_gone". *_tokens: as the call is charged.
    """

    endpoint: str
    request_id: str
    headers: dict[str, str]
    body: str
    key_hash: str | None
    outcome: str = "running"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Calls:
    """Counts since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._counts: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._total_tokens = 0
        self._last: deque[Call] = deque(maxlen=KEPT_CALLS)

    def begin(self, endpoint: str, request_id: str, headers: list[tuple[bytes, bytes]], body: bytes) -> Call:
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        authorization = texts.pop("authorization", None)
        call = Call(
            endpoint=endpoint,
            request_id=request_id,
            headers=texts,
            body=body.decode("utf-8", "replace"),
            key_hash=hash_authorization(authorization) if authorization else None,
        )
        self._counts[endpoint] += 1
        self._last.append(call)
        return call

    def end(self, call: Call, outcome: str) -> None:
        call.outcome = outcome
        self._outcomes[outcome] += 1
        self._total_tokens += call.total_tokens

    def report(self) -> dict[str, Any]:
        """{"total", "endpoints": {name: count}, "outcomes", "running", "total_tokens", "last": [call, …]}."""
        total = sum(self._counts.values())
        return {
            "total": total,
            "endpoints": dict(self._counts),
            "outcomes": dict(self._outcomes),
            "running": total - sum(self._outcomes.values()),
            "total_tokens": self._total_tokens,
            "last": [asdict(call) for call in self._last],
        }


def hash_authorization(authorization: str) -> str:
    return hashlib.sha256(authorization.encode()).hexdigest()
