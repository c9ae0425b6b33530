"""Names that stand for one model or several, as a stack's config and a project's settings have them.

An alias may have a model's own name: then it says who answers for that model when it cannot.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

MAX_MODELS = 8
MAX_ALIASES = 100

Order = Literal["given", "cheapest", "fastest"]
ModelName = Annotated[str, Field(pattern=r"^[!-~]{1,256}$")]


def _models(value: object) -> object:
    if isinstance(value, str):
        return {"models": (value,)}
    return {"models": value} if isinstance(value, list) else value


def _different(models: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(models)) < len(models):
        raise ValueError("names a model twice")
    return models


class Alias(BaseModel):
    """What stands behind a name.

    models: who may answer; the next one does when the one before cannot. order: as they are given, the
    cheapest for the request first, or the one that begins its answers soonest. first_byte_within_s: how long
    each but the last may take to begin its answer; without it only the request's own time bounds them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    models: Annotated[
        tuple[ModelName, ...],
        AfterValidator(_different),
        Field(
            min_length=1,
            max_length=MAX_MODELS,
            description=f"a list of 1 to {MAX_MODELS} different models",
        ),
    ]
    order: Order = Field(default="given", description="given, cheapest or fastest")
    first_byte_within_s: float | None = Field(
        default=None, gt=0, le=600, strict=True, description="seconds, more than 0 and 600 at most"
    )


def _without_loops(aliases: dict[str, Alias]) -> dict[str, Alias]:
    for name, alias in aliases.items():
        for model in alias.models:
            if model in aliases and model not in aliases[model].models:
                raise ValueError(f"{name} names {model}, which is an alias itself; name the models behind it")
    return aliases


Aliases = Annotated[
    dict[ModelName, Annotated[Alias, BeforeValidator(_models)]],
    Field(
        max_length=MAX_ALIASES,
        description='an object such as {"fast": "gpt-5-mini", "best": ["gpt-5", "gpt-4.1"]}',
    ),
    AfterValidator(_without_loops),
]

_ALIASES: TypeAdapter[dict[str, Alias]] = TypeAdapter(Aliases)


class AliasesError(ValueError):
    """The aliases cannot be understood; the text says where, each problem on its own."""


def parse_aliases(text: str) -> Mapping[str, Alias]:
    """From a JSON object of names: each a model, a list of models, or an `Alias`. Raises AliasesError."""
    try:
        json.loads(text)
    except ValueError:
        raise AliasesError("is not JSON") from None
    try:
        return _ALIASES.validate_json(text)
    except ValidationError as invalid:
        problems = invalid.errors(include_url=False, include_context=False)
        raise AliasesError("; ".join(_problem(error["loc"], error["msg"]) for error in problems)) from None


def _problem(where: tuple[int | str, ...], message: str) -> str:
    reason = message.removeprefix("Value error, ")
    return f"{'.'.join(map(str, where))}: {reason}" if where else reason
