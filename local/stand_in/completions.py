"""POST /v1/completions: the answer to a request, whole or in chunks.

Form: OpenAI's API reference, "The completion object". A prompt of tokens counts as many as it has, and texts
count as with OpenAI's models for completions and embeddings: in cl100k_base.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import toktok

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
    """One answer in pieces, the tokens it has, and why it ended."""

    pieces: list[str]
    tokens: int
    finish_reason: str


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises BadRequestError."""
    return [prompt for prompt in inputs_of(request, "prompt") if isinstance(prompt, str)]


def inputs_of(request: dict[str, Any], name: str) -> list[str | list[int]]:
    """The texts and the lists of tokens of a field. Raises BadRequestError."""
    value = request.get(name)
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise BadRequestError(f"{name} must be a string or a list", name)
    if all(isinstance(entry, int) for entry in value):
        return [value]
    if not all(isinstance(entry, str | list) for entry in value):
        raise BadRequestError(f"{name} must hold strings or lists of tokens", name)
    return value


def count_tokens(entry: str | list[int]) -> int:
    return toktok.batch_count([entry], threads=1)[0] if isinstance(entry, str) else len(entry)


class Completion(Answer):
    """The answer to one request, whose texts were taken before."""

    def __init__(self, request: dict[str, Any], behaves: Behaviour) -> None:
        prompts = inputs_of(request, "prompt")
        count, tried = int(request.get("n") or 1), int(request.get("best_of") or 1)
        self._choices = [_choice(request, prompt, index) for prompt in prompts for index in range(count)]
        # All that were tried are charged, the best alone are given.
        completion = sum(
            _choice(request, prompt, index).tokens for prompt in prompts for index in range(max(count, tried))
        )
        self.tokens = Tokens(sum(count_tokens(prompt) for prompt in prompts), completion).behaving(behaves)
        self._usage = chat_usage(self.tokens)
        self._include_usage = (request.get("stream_options") or {}).get("include_usage") is True
        self._head = {
            "id": new_id("cmpl-"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": request["model"],
            "system_fingerprint": "fp_stand_in",
        }

    def whole(self, *, with_usage: bool) -> dict[str, Any]:
        choices = [
            {
                "index": index,
                "text": "".join(choice.pieces),
                "logprobs": None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self._choices)
        ]
        return {**self._head, "choices": choices, **({"usage": self._usage} if with_usage else {})}

    def frames(self, *, with_usage: bool) -> Iterator[bytes]:
        for index, choice in enumerate(self._choices):
            for piece in choice.pieces:
                yield self._chunk(index, piece, None)
            yield self._chunk(index, "", choice.finish_reason)
        if self._include_usage and with_usage:
            yield frame({**self._head, "choices": [], "usage": self._usage})
        yield DONE

    def _chunk(self, index: int, piece: str, finish_reason: str | None) -> bytes:
        choice = {"index": index, "text": piece, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head, "choices": [choice]}
        return frame({**chunk, "usage": None} if self._include_usage else chunk)


def _choice(request: dict[str, Any], prompt: str | list[int], index: int) -> Choice:
    words = text.answer(request["model"], [{"role": "user", "content": str(prompt)}], index)
    for stop in stops_of(request.get("stop")):
        words = words.partition(stop)[0]
    most = most_tokens(request, "max_tokens")
    if most is not None and count_tokens(words) > most:
        words, _ = toktok.truncate(words, most)
        return Choice(text.tokens(words), most, "length")
    return Choice(text.tokens(words), count_tokens(words), "stop")
