"""Query strings and bodies as pydantic models: what is wrong is named by its path, as OpenAI names it.

A parameter that is not known is refused, as OpenAI refuses unknown fields: a misspelt filter that was ignored
would answer something else than was asked.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.body import json_object
from app.errors import ApiError, invalid_request

MAX_BODY_BYTES = 256 * 1024
MAX_PARAMETERS = 1000
MAX_EMAIL_CHARACTERS = 254
_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def _not_offered(value: object) -> None:
    if value is not None:
        raise ValueError("is not offered by this gateway; leave it out")


def _name(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be printable and not blank")
    return value


def _email(value: str) -> str:
    if not value.isprintable() or not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return value


NotOffered = Annotated[Any, AfterValidator(_not_offered)]
"""A parameter of OpenAI's that this gateway knows and has nothing for; null is fine."""

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
Email = Annotated[str, Field(max_length=MAX_EMAIL_CHARACTERS), AfterValidator(_email)]
Cursor = Annotated[str, Field(min_length=1, max_length=200)]
ExpiresInSeconds = Annotated[int, Field(ge=1, le=10 * 366 * 24 * 3600)]


class Parameters(BaseModel):
    """Of a query or a body."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageParameters(Parameters):
    """Of a list: the ids after which it goes on, and how many it shows."""

    after: Cursor | None = None
    limit: int = Field(default=20, ge=1, le=100)


M = TypeVar("M", bound=Parameters)


def parse_query(model: type[M], query: bytes) -> M:
    """The parameters of a query string. `name[]=…` makes a list, `name[key]=…` an object. Raises ApiError."""
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise invalid_request(
            f"The query string is not UTF-8 with at most {MAX_PARAMETERS} parameters."
        ) from None
    for name, value in pairs:
        brackets = _BRACKETS.fullmatch(name)
        outer, inner = brackets.groups() if brackets else (name, None)
        if inner is None:
            if outer in values:
                raise invalid_request(f"Invalid value for '{outer}': it is given twice.", param=outer)
            values[outer] = value
        elif inner == "":
            _within(values, outer, []).append(value)
        else:
            _within(values, outer, {})[inner] = value
    return _validated(model, values, strict=False)


def _within(values: dict[str, Any], name: str, empty: Any) -> Any:
    known = values.setdefault(name, empty)
    if type(known) is not type(empty):
        raise invalid_request(f"Invalid value for '{name}': it is given twice.", param=name)
    return known


def parse_body(model: type[M], body: bytes) -> M:
    """The fields of a JSON body. Raises ApiError."""
    return _validated(model, json_object(body), strict=True)


def parse_nothing(query: bytes | None, body: bytes) -> None:
    """Of a call that takes none. Raises ApiError when there are some."""
    if query:
        parse_query(Parameters, query)
    if body:
        parse_body(Parameters, body)


def _validated(model: type[M], values: dict[str, Any], *, strict: bool) -> M:
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as invalid:
        raise _refusal(invalid.errors(include_url=False, include_context=False)[0]) from None


def _refusal(error: Mapping[str, Any]) -> ApiError:
    param = _path(error["loc"])
    match error["type"]:
        case "missing":
            return invalid_request(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        case "extra_forbidden":
            return invalid_request(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
        case _:
            reason = str(error["msg"]).removeprefix("Value error, ")
            reason = reason[0].lower() + reason[1:]
            return invalid_request(
                f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value"
            )


def _path(places: tuple[Any, ...]) -> str:
    path = ""
    for place in places:
        path += f"[{place}]" if isinstance(place, int) else f".{place}" if path else str(place)
    return path
