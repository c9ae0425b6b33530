"""A request's body as JSON: bounded in depth, in size and in the number of its values, and unambiguous.

A body goes upstream as it came, so both sides must read the same from it. JSON leaves open which value counts
when a key comes twice; a body that says twice what decides about routes or money is refused.
"""

import json
import re
from typing import Any

import orjson

from app.errors import ApiError, busy, invalid_request

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_VALUES = 500_000
MAX_CONTAINERS = 50_000
"""Embeddings may have 300,000 tokens in 2,048 arrays; every object takes some hundred bytes when parsed."""

ROOM_BYTES = 8 * MAX_BODY_BYTES
FREE_BYTES = 64 * 1024
"""Bodies up to this size are bounded by the number of requests; larger ones share the room."""

SMALL_BODY_BYTES = 256 * 1024
"""Bodies of this size hold no more than these numbers anyway, or hardly."""

_DECISIVE = {
    name: b'"' + name.encode() + b'"'
    for name in (
        "model",
        "messages",
        "input",
        "prompt",
        "tools",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "service_tier",
        "background",
        "conversation",
        "previous_response_id",
        "stream",
        "stream_options",
        "include_usage",
    )
}
# Letters, digits and the underscore, which nobody escapes but to hide a key.
_ESCAPED_LETTER = re.compile(rb"\\u00(?:3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class BodyRoom:
    """How many bytes of large bodies one process holds at the same time."""

    def __init__(self, total_bytes: int = ROOM_BYTES) -> None:
        self._left_bytes = total_bytes

    def take(self, size_bytes: int) -> None:
        """Raises ApiError (503) when there is no room at the moment."""
        if size_bytes > self._left_bytes:
            raise busy()
        self._left_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._left_bytes += size_bytes


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError (400)."""
    if not body:
        raise invalid_request("The request has no body. Send a JSON object.", code="invalid_json")
    if len(body) > SMALL_BODY_BYTES:
        _check_values(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise invalid_request(
            f"The request body is not valid JSON in UTF-8: {wrong.msg} "
            f"(line {wrong.lineno}, column {wrong.colno}).",
            code="invalid_json",
        ) from None
    if not isinstance(value, dict):
        raise invalid_request(
            f"The request body is {json_type_name(value)}. Send a JSON object.", code="invalid_json"
        )
    for name in value:
        if name in _DECISIVE and body.count(_DECISIVE[name]) > 1:
            _check_keys(body)
            break
    else:
        if ("stream_options" in value and body.count(b'"include_usage"') > 1) or (
            b"\\u00" in body and _ESCAPED_LETTER.search(body)
        ):
            _check_keys(body)
    return value


def _check_values(body: bytes) -> None:
    if not _is_too_much(*_count(body, 0, len(body))):
        return
    # Much of it may be text; counted again between the strings, only as far as it takes.
    containers = commas = start = 0
    for string in _STRING.finditer(body):
        more_containers, more_commas = _count(body, start, string.start())
        containers, commas, start = containers + more_containers, commas + more_commas, string.end()
        if _is_too_much(containers, commas):
            break
    else:
        more_containers, more_commas = _count(body, start, len(body))
        if not _is_too_much(containers + more_containers, commas + more_commas):
            return
    raise invalid_request(
        f"The request body has more than {MAX_VALUES} values, or more than {MAX_CONTAINERS} of them are "
        "objects and arrays. Send fewer in a request.",
        code="invalid_json",
    )


def _count(body: bytes, start: int, end: int) -> tuple[int, int]:
    return body.count(b"{", start, end) + body.count(b"[", start, end), body.count(b",", start, end)


def _is_too_much(containers: int, commas: int) -> bool:
    return containers > MAX_CONTAINERS or containers + commas > MAX_VALUES


def _check_keys(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=_unambiguous)
    except RecursionError:
        raise invalid_request("The request body is nested too deeply.", code="invalid_json") from None


def _unambiguous(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) == len(names):
        return
    for name in _DECISIVE:
        if names.count(name) > 1:
            raise ApiError(
                400,
                f"{name} is in the same object more than once. Send it once.",
                kind="invalid_request_error",
                param=name,
                code="duplicate_field",
            )


def json_type_name(value: object) -> str:
    """What a parsed value is in JSON's terms, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
