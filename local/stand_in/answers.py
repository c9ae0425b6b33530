"""What every endpoint of the stand-in gives back: an answer that can be sent whole or as a stream."""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from local.stand_in.behaviour import Behaviour


class BadRequestError(ValueError):
    """The request is refused; `param` names the field."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Tokens:
    """What an answer is charged for; prompt holds cached, completion holds reasoning."""

    prompt: int
    completion: int = 0
    cached: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def behaving(self, behaves: Behaviour) -> "Tokens":
        """The same with the cached and reasoning tokens that were asked for."""
        return Tokens(
            prompt=self.prompt,
            completion=self.completion + behaves.reasoning_tokens,
            cached=min(self.prompt, behaves.cached_tokens),
            reasoning=behaves.reasoning_tokens,
        )


class Answer(ABC):
    """The answer to one request. `tokens`: as it is charged, None where OpenAI charges nothing."""

    tokens: Tokens | None

    @abstractmethod
    def whole(self, *, with_usage: bool) -> dict[str, Any]:
        """The JSON of a plain answer."""

    def frames(self, *, with_usage: bool) -> Iterator[bytes]:
        """The events of a stream, the last one the one that says it is complete. Raises BadRequestError."""
        del with_usage
        raise BadRequestError("This endpoint does not stream.", "stream")

    def error_frame(self, message: str) -> bytes:
        """An event that ends a stream with an error."""
        return frame({"error": {"message": message, "type": "server_error", "param": None, "code": None}})


def frame(value: dict[str, Any], event: str | None = None) -> bytes:
    """One server-sent event."""
    data = b"data: " + orjson.dumps(value) + b"\n\n"
    return data if event is None else b"event: " + event.encode() + b"\n" + data


DONE = b"data: [DONE]\n\n"


def new_id(prefix: str) -> str:
    return prefix + hashlib.sha256(f"{time.time_ns()}".encode()).hexdigest()[:32]


def chat_usage(tokens: Tokens) -> dict[str, Any]:
    """`usage` as chat completions and completions spell it."""
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def most_tokens(request: dict[str, Any], *names: str) -> int | None:
    """The first of these limits that is set."""
    return next((int(request[name]) for name in names if request.get(name) is not None), None)


def stops_of(stop: object) -> list[str]:
    if isinstance(stop, str):
        return [stop]
    return [entry for entry in stop if isinstance(entry, str) and entry] if isinstance(stop, list) else []
