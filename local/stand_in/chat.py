"""POST /v1/chat/completions: the answer to a request, whole or in chunks.

Form: OpenAI's API reference, "The chat completion object" and "The chat completion chunk object".
"""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.stand_in import text


class BadRequestError(ValueError):
    """The request is refused; `param` names the field."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Choice:
    """One answer in pieces, and why it ended."""

    pieces: list[str]
    finish_reason: str


@dataclass(frozen=True)
class Completion:
    """The answer to one request."""

    id: str
    model: str
    created: int
    choices: list[Choice]
    usage: dict[str, Any]


def complete(request: dict[str, Any]) -> Completion:
    """Answers a request. Raises BadRequestError."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list of one message or more", "messages")
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise BadRequestError("each message must be an object with a role", "messages")
    model = request["model"]
    count = request.get("n") or 1
    most = request.get("max_completion_tokens") or request.get("max_tokens")
    choices = [_choice(request, messages, index, most) for index in range(count)]
    prompt = text.prompt_tokens(messages)
    completion = sum(len(choice.pieces) for choice in choices)
    created = int(time.time())
    identity = hashlib.sha256(f"{time.time_ns()}{model}".encode()).hexdigest()[:24]
    return Completion(
        id=f"chatcmpl-{identity}",
        model=model,
        created=created,
        choices=choices,
        usage={
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
    )


def _choice(request: dict[str, Any], messages: list[dict[str, Any]], index: int, most: int | None) -> Choice:
    wants_json = (request.get("response_format") or {}).get("type") in ("json_object", "json_schema")
    words = (text.json_answer if wants_json else text.answer)(request["model"], messages, index)
    for stop in _stops(request.get("stop")):
        words = words.partition(stop)[0]
    pieces = text.tokens(words)
    if most is not None and len(pieces) > most:
        return Choice(pieces[:most], "length")
    return Choice(pieces, "stop")


def _stops(stop: object) -> list[str]:
    if isinstance(stop, str):
        return [stop]
    return [entry for entry in stop if isinstance(entry, str) and entry] if isinstance(stop, list) else []


def whole(completion: Completion, *, with_usage: bool) -> dict[str, Any]:
    """The chat completion object."""
    value: dict[str, Any] = {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": "".join(choice.pieces),
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(completion.choices)
        ],
    }
    if with_usage:
        value["usage"] = completion.usage
    return {**value, "service_tier": "default", "system_fingerprint": "fp_stand_in"}


def chunks(completion: Completion, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The chunks of a stream, the usage chunk last when it was asked for."""
    for index, choice in enumerate(completion.choices):
        yield _chunk(
            completion, index, {"role": "assistant", "content": "", "refusal": None}, None, include_usage
        )
        for piece in choice.pieces:
            yield _chunk(completion, index, {"content": piece}, None, include_usage)
        yield _chunk(completion, index, {}, choice.finish_reason, include_usage)
    if include_usage:
        yield {**_head(completion), "choices": [], "usage": completion.usage}


def _chunk(
    completion: Completion, index: int, delta: dict[str, Any], finish_reason: str | None, include_usage: bool
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    chunk = {**_head(completion), "choices": [choice]}
    return {**chunk, "usage": None} if include_usage else chunk


def _head(completion: Completion) -> dict[str, Any]:
    return {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": "fp_stand_in",
    }
