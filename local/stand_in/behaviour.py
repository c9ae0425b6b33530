"""How the stand-in misbehaves on demand.

Asked for in one of three ways, the first that applies: a model that is named for it (MODELS), a message that
holds `#stand-in {…}` with a behaviour as JSON, or the control endpoint (`/stand-in/behaviour`).
"""

import json
from dataclasses import dataclass, fields
from typing import Any

MARK = "#stand-in "


class BadBehaviourError(ValueError):
    """What was asked for is not a behaviour; the text says why."""


@dataclass(frozen=True)
class Behaviour:
    """What an answer does. Everything is off by default.

    delay_ms: before the first byte. chunk_delay_ms: before each chunk of a stream. status: an error of this
    status instead of an answer, with retry_after_ms in its headers. cut_after: the connection ends after so
    many chunks of a stream, or in the middle of a plain body (at 0 already before the status line).
    malformed: what is sent is not JSON. without_usage: no usage is told. error_after: an error event after so
    many chunks. end_after: a stream ends in good order after so many chunks, without its [DONE].
    """

    delay_ms: int = 0
    chunk_delay_ms: int = 0
    status: int | None = None
    retry_after_ms: int | None = None
    cut_after: int | None = None
    malformed: bool = False
    without_usage: bool = False
    error_after: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    end_after: int | None = None


NORMAL = Behaviour()

MODELS = {
    "stand-in-slow": Behaviour(delay_ms=2000),
    "stand-in-slow-stream": Behaviour(chunk_delay_ms=500),
    "stand-in-429": Behaviour(status=429, retry_after_ms=1500),
    "stand-in-500": Behaviour(status=500),
    "stand-in-cut": Behaviour(cut_after=2),
    "stand-in-malformed": Behaviour(malformed=True),
}


def parse(value: object) -> Behaviour:
    """A behaviour from JSON. Raises BadBehaviourError."""
    if not isinstance(value, dict):
        raise BadBehaviourError("a behaviour is a JSON object")
    known = {field.name: field.default for field in fields(Behaviour)}
    for name, setting in value.items():
        if name not in known:
            raise BadBehaviourError(f"{name} is not one of {', '.join(known)}")
        expected: type[Any] = bool if isinstance(known[name], bool) else int
        if type(setting) is not expected or setting < 0:
            raise BadBehaviourError(f"{name} must be a non-negative {expected.__name__}")
    return Behaviour(**value)


def asked_for(model: str, texts: list[str]) -> Behaviour | None:
    """The behaviour that a request itself asks for, None when it asks for none. Raises BadBehaviourError."""
    if model in MODELS:
        return MODELS[model]
    for text in texts:
        _, mark, rest = text.partition(MARK)
        if mark:
            try:
                value, _ = json.JSONDecoder().raw_decode(rest)
            except ValueError:
                raise BadBehaviourError(f"what follows {MARK.strip()} is not JSON") from None
            return parse(value)
    return None
