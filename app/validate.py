"""What a chat request must be before anything is spent on it; what the upstream knows better is left to it.

Unknown fields pass. Bounds are those of OpenAI's API reference for POST /v1/chat/completions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from app.errors import ApiError, invalid_request

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_MESSAGES = 4096
MAX_MODEL_CHARACTERS = 256
_I64 = 2**63


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request that is fit to be forwarded.

    body: as the caller sent it, byte for byte. fields: the same, parsed.
    include_usage: the caller wants the usage chunk at the end of a stream.
    """

    body: bytes
    fields: dict[str, Any]
    model: str
    stream: bool
    include_usage: bool


def chat_request(body: bytes) -> ChatRequest:
    """Parses and checks a body. Raises ApiError (400) that names the first field that is wrong."""
    fields = json_object(body)
    for name, value in fields.items():
        if value is not None and (check := _FIELDS.get(name)):
            check(name, value)
    if fields.get("model") is None:
        raise _missing("model", "the name of a model, for example gpt-4o-mini")
    if fields.get("messages") is None:
        raise _missing("messages", "a list of one message or more")
    stream = fields.get("stream") is True
    options = fields.get("stream_options")
    if options is not None and not stream:
        raise invalid_request(
            "stream_options is only for streams. Set stream to true or leave it out.",
            param="stream_options",
            code="invalid_value",
        )
    return ChatRequest(
        body=body,
        fields=fields,
        model=fields["model"],
        stream=stream,
        include_usage=bool(options and options.get("include_usage")),
    )


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError (400). The parser bounds its depth, the caller its size."""
    if not body:
        raise invalid_request("The request has no body. Send a JSON object.", code="invalid_json")
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
            f"The request body is {_type_name(value)}. Send a JSON object.", code="invalid_json"
        )
    return value


def _text(param: str, value: object) -> str:
    if not isinstance(value, str):
        raise _wrong_type(param, value, "a string")
    return value


def _model(param: str, value: object) -> None:
    name = _text(param, value)
    if not name.strip() or len(name) > MAX_MODEL_CHARACTERS or not name.isprintable():
        raise _wrong_value(
            param, f"must be a model's name of 1 to {MAX_MODEL_CHARACTERS} printable characters"
        )


def _boolean(param: str, value: object) -> None:
    if not isinstance(value, bool):
        raise _wrong_type(param, value, "true or false")


def _object(param: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(param, value, "an object")
    return value


def _list(param: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(param, value, "an array")
    return value


def _number(least: float, most: float) -> Callable[[str, object], None]:
    def check(param: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong_type(param, value, "a number")
        if not least <= value <= most:
            raise _wrong_value(param, f"must be between {least:g} and {most:g}")

    return check


def _integer(least: int, most: int) -> Callable[[str, object], None]:
    def check(param: str, value: object) -> None:
        # 1.0 is an integer in JSON's own terms, and clients in languages without integers send it.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise _wrong_type(param, value, "an integer")
        if not least <= value <= most:
            raise _wrong_value(param, f"must be between {least} and {most}")

    return check


def _stop(param: str, value: object) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise _wrong_type(param, value, "a string or an array of strings")
    for index, entry in enumerate(value):
        _text(f"{param}[{index}]", entry)


def _stream_options(param: str, value: object) -> None:
    include_usage = _object(param, value).get("include_usage")
    if include_usage is not None:
        _boolean(f"{param}.include_usage", include_usage)


def _messages(param: str, value: object) -> None:
    messages = _list(param, value)
    if not messages:
        raise invalid_request(f"{param} is empty. Send one message or more.", param=param, code="empty_array")
    if len(messages) > MAX_MESSAGES:
        raise _wrong_value(param, f"must be {MAX_MESSAGES} messages or fewer")
    for index, message in enumerate(messages):
        _message(f"{param}[{index}]", message)


def _message(param: str, value: object) -> None:
    message = _object(param, value)
    role = message.get("role")
    if role is None:
        raise _missing(f"{param}.role", "the author: developer, system, user, assistant or tool")
    _text(f"{param}.role", role)
    content = message.get("content")
    if content is None:
        # Only the model's own turns may consist of something other than content, such as tool calls.
        if role not in ("assistant", "function"):
            raise _missing(f"{param}.content", "a text or an array of content parts")
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if _object(f"{param}.content[{index}]", part).get("type") is None:
                raise _missing(f"{param}.content[{index}].type", "the kind of the part, for example text")
            _text(f"{param}.content[{index}].type", part["type"])
    elif not isinstance(content, str):
        raise _wrong_type(f"{param}.content", content, "a string or an array of content parts")


_FIELDS: dict[str, Callable[[str, object], object]] = {
    "model": _model,
    "messages": _messages,
    "stream": _boolean,
    "stream_options": _stream_options,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "n": _integer(1, 128),
    "max_tokens": _integer(1, _I64 - 1),
    "max_completion_tokens": _integer(1, _I64 - 1),
    "top_logprobs": _integer(0, 20),
    "seed": _integer(-_I64, _I64 - 1),
    "logprobs": _boolean,
    "store": _boolean,
    "stop": _stop,
    "user": _text,
    "safety_identifier": _text,
    "metadata": _object,
    "logit_bias": _object,
    "response_format": _object,
    "tools": _list,
}


def _missing(param: str, what: str) -> ApiError:
    return invalid_request(
        f"{param} is missing. Send {what}.", param=param, code="missing_required_parameter"
    )


def _wrong_type(param: str, value: object, expected: str) -> ApiError:
    return invalid_request(
        f"{param} is {_type_name(value)}. Send {expected}.", param=param, code="invalid_type"
    )


def _wrong_value(param: str, requirement: str) -> ApiError:
    return invalid_request(f"{param} {requirement}.", param=param, code="invalid_value")


def _type_name(value: object) -> str:
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
