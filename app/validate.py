"""Checks of a request's fields before anything is spent on it; what the upstream knows better is left to it.

A check takes the field's path and its value, and raises ApiError (400) that names the path. Unknown fields
pass.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.body import json_type_name
from app.errors import ApiError, invalid_request

Check = Callable[[str, Any], object]

MAX_MODEL_CHARACTERS = 256
I64 = 2**63


def check_fields(fields: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Checks the fields that are there and not null."""
    for name, value in fields.items():
        if value is not None and (check := checks.get(name)):
            check(name, value)


def text(param: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong_type(param, value, "a string")
    return value


def model_name(param: str, value: object) -> None:
    name = text(param, value)
    if not name.strip() or len(name) > MAX_MODEL_CHARACTERS or not name.isprintable():
        raise wrong_value(
            param, f"must be a model's name of 1 to {MAX_MODEL_CHARACTERS} printable characters"
        )


def boolean(param: str, value: object) -> None:
    if not isinstance(value, bool):
        raise wrong_type(param, value, "true or false")


def json_dict(param: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(param, value, "an object")
    return value


def array(param: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(param, value, "an array")
    return value


def number(least: float, most: float) -> Callable[[str, object], None]:
    def check(param: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(param, value, "a number")
        if not least <= value <= most:
            raise wrong_value(param, f"must be between {least:g} and {most:g}")

    return check


def integer(least: int, most: int) -> Callable[[str, object], None]:
    def check(param: str, value: object) -> None:
        # 1.0 is an integer in JSON's own terms, and clients in languages without integers send it.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise wrong_type(param, value, "an integer")
        if not least <= value <= most:
            raise wrong_value(param, f"must be between {least} and {most}")

    return check


def stop(param: str, value: object) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise wrong_type(param, value, "a string or an array of strings")
    for index, entry in enumerate(value):
        text(f"{param}[{index}]", entry)


def stream_options(param: str, value: object) -> None:
    include_usage = json_dict(param, value).get("include_usage")
    if include_usage is not None:
        boolean(f"{param}.include_usage", include_usage)


def wants_usage_chunk(fields: Mapping[str, Any], *, stream: bool) -> bool:
    """Whether stream_options ask for it. Raises ApiError when they are there without a stream."""
    options = fields.get("stream_options")
    if options is not None and not stream:
        raise invalid_request(
            "stream_options is only for streams. Set stream to true or leave it out.",
            param="stream_options",
            code="invalid_value",
        )
    return bool(options and options.get("include_usage"))


def require_model(fields: Mapping[str, Any]) -> None:
    if fields.get("model") is None:
        raise missing("model", "the name of a model, for example gpt-4o-mini")


def missing(param: str, what: str) -> ApiError:
    return invalid_request(
        f"{param} is missing. Send {what}.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, value: object, expected: str) -> ApiError:
    return invalid_request(
        f"{param} is {json_type_name(value)}. Send {expected}.", param=param, code="invalid_type"
    )


def wrong_value(param: str, requirement: str) -> ApiError:
    return invalid_request(f"{param} {requirement}.", param=param, code="invalid_value")
