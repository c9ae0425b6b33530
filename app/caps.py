"""What a project's requests may ask for at most, and what those get that do not ask.

Above a cap a request is refused: fewer tokens, answers or stop sequences than were asked for would be another
answer, and its caller would not know. Only the time is cut, which changes no answer that comes.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from app import errors
from app.body import MAX_BODY_BYTES
from app.endpoints import ApiRequest, Endpoint

LEAST_MAX_TOKENS = 16
"""Responses take no smaller bound (OpenAI API reference, `max_output_tokens`)."""

MAX_TOKENS = 10_000_000
MAX_STOP = 4
"""OpenAI's own bound."""

_TOKENS = f"{LEAST_MAX_TOKENS} to {MAX_TOKENS} tokens"
Tokens = Annotated[int, Field(ge=LEAST_MAX_TOKENS, le=MAX_TOKENS)]

WITHOUT_STOP = ("o1", "o3", "o4", "gpt-5", "gpt-6")
"""Beginnings of models that refuse stop sequences (OpenAI API reference, `stop`): reasoning models."""


class Caps(BaseModel):
    """Caps and defaults of one project; None: none.

    max_tokens: of one answer, reasoning included. stop: how many stop sequences. input_bytes: of a body.
    timeout_s: for the whole answer. default_max_tokens: of an answer that the request does not bound; without
    it, the cap. default_stop: of a request that says nothing of stop.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    max_tokens: Tokens | None = Field(default=None, description=_TOKENS)
    n: Annotated[int, Field(ge=1, le=128)] | None = Field(default=None, description="1 to 128")
    best_of: Annotated[int, Field(ge=1, le=20)] | None = Field(default=None, description="1 to 20")
    stop: Annotated[int, Field(ge=0, le=MAX_STOP)] | None = Field(
        default=None, description=f"a number of sequences from 0 to {MAX_STOP}"
    )
    input_bytes: Annotated[int, Field(ge=1, le=MAX_BODY_BYTES)] | None = Field(
        default=None, description=f"1 to {MAX_BODY_BYTES} bytes"
    )
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        default=None, description="seconds, more than 0 and 3600 at most"
    )
    default_max_tokens: Tokens | None = Field(default=None, description=_TOKENS)
    default_stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=MAX_STOP)] = (
        Field(default=(), description=f"a list of up to {MAX_STOP} texts")
    )

    @field_validator("default_max_tokens")
    @classmethod
    def _is_within_the_cap(cls, default: int | None, info: ValidationInfo) -> int | None:
        return _not_above(default, info.data.get("max_tokens"), "max_tokens")

    @field_validator("default_stop")
    @classmethod
    def _are_not_too_many(cls, default: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        _not_above(len(default), info.data.get("stop"), "stop")
        return default


def _not_above(default: int | None, cap: int | None, of: str) -> int | None:
    if default is not None and cap is not None and default > cap:
        raise ValueError(f"is above the cap of {of}, which is {cap}")
    return default


NO_CAPS = Caps()


def within(caps: Caps, request: ApiRequest, project_id: str) -> ApiRequest:
    """The request with the project's defaults; the same when it needs none. Raises ApiError (400)."""
    if caps is NO_CAPS:
        return request
    _check(caps, request, project_id)
    defaults = _defaults(caps, request.endpoint, request.fields, request.model)
    return request.changed(**defaults) if defaults else request


def check_input(caps: Caps, body: bytes, project_id: str) -> None:
    """Raises ApiError (413) when a body, as it came, is above the cap."""
    if caps.input_bytes is not None and len(body) > caps.input_bytes:
        raise errors.body_above_cap(caps.input_bytes, project_id)


def _check(caps: Caps, request: ApiRequest, project_id: str) -> None:
    fields = request.fields
    capped = [("n", caps.n), ("best_of", caps.best_of)]
    capped += [(name, caps.max_tokens) for name in request.endpoint.answer_tokens_fields]
    for name, cap in capped:
        asked = fields.get(name)
        if cap is not None and isinstance(asked, int | float) and asked > cap:
            raise errors.above_cap(name, asked, cap, project_id)
    stop = fields.get("stop")
    if caps.stop is not None and isinstance(stop, list) and len(stop) > caps.stop:
        raise errors.longer_than_cap("stop", len(stop), caps.stop, project_id)


def _defaults(caps: Caps, endpoint: Endpoint, fields: Mapping[str, Any], model: str) -> dict[str, object]:
    defaults: dict[str, object] = {}
    bounds = endpoint.answer_tokens_fields
    if bounds and all(fields.get(name) is None for name in bounds):
        most = caps.default_max_tokens
        if most is None and caps.max_tokens is not None:
            # A cap alone lengthens no answer.
            most = min(caps.max_tokens, endpoint.unasked_answer_tokens or caps.max_tokens)
        if most is not None:
            defaults[bounds[0]] = most
    if (
        caps.default_stop
        and endpoint.takes_stop
        and fields.get("stop") is None
        and not model.removeprefix("ft:").startswith(WITHOUT_STOP)
    ):
        defaults["stop"] = list(caps.default_stop)
    return defaults
