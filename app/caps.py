"""What a project's requests may ask for at most, and what those get that do not ask.

Above a cap a request is refused: fewer tokens, answers or stop sequences than were asked for would be another
answer, and its caller would not know. Only the time is cut, which changes no answer that comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import errors
from app.endpoints import ApiRequest, Endpoint

LEAST_MAX_TOKENS = 16
"""Responses take no smaller bound (OpenAI API reference, `max_output_tokens`)."""

WITHOUT_STOP = ("o1", "o3", "o4", "gpt-5", "gpt-6")
"""Beginnings of models that refuse stop sequences (OpenAI API reference, `stop`): reasoning models."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Caps and defaults of one project; None: none.

    max_tokens: of one answer, reasoning included. stop: how many stop sequences. input_bytes: of a body.
    timeout_s: for the whole answer. default_max_tokens: of an answer that the request does not bound; without
    it, the cap. default_stop: of a request that says nothing of stop.
    """

    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    stop: int | None = None
    input_bytes: int | None = None
    timeout_s: float | None = None
    default_max_tokens: int | None = None
    default_stop: tuple[str, ...] = ()


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
