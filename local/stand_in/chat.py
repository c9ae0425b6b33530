"""POST /v1/chat/completions: the answer to a request, whole or in chunks.

Form: OpenAI's API reference, "The chat completion object" and "The chat completion chunk object".
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.stand_in import text
from local.stand_in.answers import (
    DONE,
    Answer,
    BadRequestError,
    Tokens,
    chat_usage,
    frame,
    most_tokens,
    new_id,
    stops_of,
)
from local.stand_in.behaviour import Behaviour


@dataclass(frozen=True)
class Choice:
    """One answer in pieces, and why it ended."""

    pieces: list[str]
    finish_reason: str


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises BadRequestError."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list of one message or more", "messages")
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise BadRequestError("each message must be an object with a role", "messages")
    return text.texts_of(messages)


class ChatCompletion(Answer):
    """The answer to one request, whose texts were taken before."""

    def __init__(self, request: dict[str, Any], behaves: Behaviour) -> None:
        messages = request["messages"]
        most = most_tokens(request, "max_completion_tokens", "max_tokens")
        self._choices = [
            _choice(request, messages, index, most) for index in range(int(request.get("n") or 1))
        ]
        self.tokens = Tokens(
            text.prompt_tokens(messages), sum(len(choice.pieces) for choice in self._choices)
        ).behaving(behaves)
        self._model = request["model"]
        self._id = new_id("chatcmpl-")
        self._created = int(time.time())
        self._usage = chat_usage(self.tokens)
        self._include_usage = (request.get("stream_options") or {}).get("include_usage") is True

    def whole(self, *, with_usage: bool) -> dict[str, Any]:
        value: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
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
                for index, choice in enumerate(self._choices)
            ],
        }
        if with_usage:
            value["usage"] = self._usage
        return {**value, "service_tier": "default", "system_fingerprint": "fp_stand_in"}

    def frames(self, *, with_usage: bool) -> Iterator[bytes]:
        for index, choice in enumerate(self._choices):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None}, None)
            for piece in choice.pieces:
                yield self._chunk(index, {"content": piece}, None)
            yield self._chunk(index, {}, choice.finish_reason)
        if self._include_usage and with_usage:
            yield frame({**self._head(), "choices": [], "usage": self._usage})
        yield DONE

    def _chunk(self, index: int, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head(), "choices": [choice]}
        return frame({**chunk, "usage": None} if self._include_usage else chunk)

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
            "service_tier": "default",
            "system_fingerprint": "fp_stand_in",
        }


def _choice(request: dict[str, Any], messages: list[dict[str, Any]], index: int, most: int | None) -> Choice:
    wants_json = (request.get("response_format") or {}).get("type") in ("json_object", "json_schema")
    words = (text.json_answer if wants_json else text.answer)(request["model"], messages, index)
    for stop in stops_of(request.get("stop")):
        words = words.partition(stop)[0]
    pieces = text.tokens(words)
    if most is not None and len(pieces) > most:
        return Choice(pieces[:most], "length")
    return Choice(pieces, "stop")
