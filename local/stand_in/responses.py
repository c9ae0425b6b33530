"""POST /v1/responses: the answer to a request, whole or as events.

Form: OpenAI's API reference, "The response object" and "Streaming events". Tokens are counted as for chat,
the instructions as one message more.
"""

import time
from collections.abc import Iterator
from typing import Any

from local.stand_in import text
from local.stand_in.answers import Answer, BadRequestError, Tokens, frame, most_tokens, new_id
from local.stand_in.behaviour import Behaviour


def texts(request: dict[str, Any]) -> list[str]:
    """The texts of a request. Raises BadRequestError."""
    return text.texts_of(messages_of(request))


def messages_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The instructions and the input as messages. Raises BadRequestError."""
    asked = request.get("input")
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, list) or not all(isinstance(item, dict) for item in asked):
        raise BadRequestError("input must be a string or a list of items", "input")
    instructions = request.get("instructions")
    return [*([{"role": "developer", "content": instructions}] if instructions else []), *asked]


class Response(Answer):
    """The answer to one request, whose texts were taken before."""

    def __init__(self, request: dict[str, Any], behaves: Behaviour) -> None:
        messages = messages_of(request)
        form = ((request.get("text") or {}).get("format") or {}).get("type")
        wants_json = form in ("json_object", "json_schema")
        words = (text.json_answer if wants_json else text.answer)(request["model"], messages, 0)
        pieces = text.tokens(words)
        most = most_tokens(request, "max_output_tokens")
        self._pieces = pieces if most is None else pieces[:most]
        self._is_whole = len(self._pieces) == len(pieces)
        self.tokens: Tokens = Tokens(text.prompt_tokens(messages), len(self._pieces)).behaving(behaves)
        self._item_id = new_id("msg_")
        self._frame: dict[str, Any] = {
            "id": new_id("resp_"),
            "object": "response",
            "created_at": int(time.time()),
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.get("instructions"),
            "max_output_tokens": most,
            "metadata": request.get("metadata") or {},
            "model": request["model"],
            "parallel_tool_calls": True,
            "previous_response_id": request.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": request.get("store") is not False,
            "temperature": request.get("temperature"),
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": request.get("top_p"),
            "truncation": "disabled",
        }

    def whole(self, *, with_usage: bool) -> dict[str, Any]:
        return {
            **self._frame,
            "status": "completed" if self._is_whole else "incomplete",
            "incomplete_details": None if self._is_whole else {"reason": "max_output_tokens"},
            "output": [self._item("completed" if self._is_whole else "incomplete", "".join(self._pieces))],
            "usage": self._usage() if with_usage else None,
        }

    def frames(self, *, with_usage: bool) -> Iterator[bytes]:
        begun = {**self._frame, "status": "in_progress", "output": [], "usage": None}
        place = {"item_id": self._item_id, "output_index": 0, "content_index": 0}
        words = "".join(self._pieces)
        status = "completed" if self._is_whole else "incomplete"
        events: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": begun}),
            ("response.in_progress", {"response": begun}),
            ("response.output_item.added", {"output_index": 0, "item": self._item("in_progress", None)}),
            ("response.content_part.added", {**place, "part": _part("")}),
            *(
                ("response.output_text.delta", {**place, "delta": piece, "logprobs": []})
                for piece in self._pieces
            ),
            ("response.output_text.done", {**place, "text": words, "logprobs": []}),
            ("response.content_part.done", {**place, "part": _part(words)}),
            ("response.output_item.done", {"output_index": 0, "item": self._item(status, words)}),
            (f"response.{status}", {"response": self.whole(with_usage=with_usage)}),
        ]
        for number, (kind, fields) in enumerate(events):
            yield frame({"type": kind, "sequence_number": number, **fields}, event=kind)

    def error_frame(self, message: str) -> bytes:
        failed = {
            **self._frame,
            "status": "failed",
            "error": {"code": "server_error", "message": message},
            "output": [],
            "usage": None,
        }
        kind = "response.failed"
        return frame({"type": kind, "sequence_number": 999, "response": failed}, event=kind)

    def _item(self, status: str, words: str | None) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if words is None else [_part(words)],
        }

    def _usage(self) -> dict[str, Any]:
        return {
            "input_tokens": self.tokens.prompt,
            "input_tokens_details": {"cached_tokens": self.tokens.cached, "cache_write_tokens": 0},
            "output_tokens": self.tokens.completion,
            "output_tokens_details": {"reasoning_tokens": self.tokens.reasoning},
            "total_tokens": self.tokens.total,
        }


def _part(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}
