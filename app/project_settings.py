"""What a project has chosen for itself: one object, a JSON text in the project's item in the table.

Attribute `settings` of `PROJECT#<id>` / `PROJECT`. What is missing is as the stack has it; a field that this
version does not know is passed over, so that a release can be taken back.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from app.caps import NO_CAPS, Caps
from app.endpoints import CHAT_COMPLETIONS, EMBEDDINGS, RESPONSES, Endpoint
from app.models.alias import Alias, Aliases, ModelName
from app.models.permissions import ModelPermissions

ATTRIBUTE = "settings"
MAX_SHOWN = 200
_A_MODEL = "the name of a model or an alias, for example gpt-5-mini"
LONGEST_CACHE_TTL_S = 30 * 24 * 3600


class ProjectSettings(BaseModel):
    """Settings of one project.

    cache_ttl_s: how long an answer is kept, in place of the stack's response_cache_ttl_s; 0: nothing is kept.
    cache_all: answers are kept of every request without a side effect, not only of those that ask for a
    repeatable one. cache_shared: answers are shared with the organization's other projects that say so too.
    model_permissions: which models it may use; without them all. model_aliases: names that stand for models,
    before the stack's own. default_model: of chat completions and responses that name none;
    default_embedding_model: of embeddings.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    cache_ttl_s: Annotated[int, Field(ge=0, le=LONGEST_CACHE_TTL_S)] | None = None
    cache_all: bool = False
    cache_shared: bool = False
    model_permissions: ModelPermissions | None = Field(
        default=None,
        description='an object such as {"mode": "allow_list", "model_ids": ["gpt-5-mini"]}, or null',
    )
    model_aliases: Aliases = Field(default_factory=dict)
    default_model: ModelName | None = Field(default=None, description=_A_MODEL)
    default_embedding_model: ModelName | None = Field(default=None, description=_A_MODEL)
    caps: Caps = Field(default=NO_CAPS, description='an object such as {"max_tokens": 4096, "n": 2}')

    def default_model_of(self, endpoint: Endpoint) -> str | None:
        """Who answers a request to an endpoint that names no model."""
        if endpoint is CHAT_COMPLETIONS or endpoint is RESPONSES:
            return self.default_model
        return self.default_embedding_model if endpoint is EMBEDDINGS else None


DEFAULT_SETTINGS = ProjectSettings()


def parse_settings(item: Mapping[str, Mapping[str, Any]]) -> ProjectSettings:
    """The settings in a project's item. Raises ValueError when they are damaged, KeyError when no text."""
    attribute = item.get(ATTRIBUTE)
    return DEFAULT_SETTINGS if attribute is None else ProjectSettings.model_validate_json(attribute["S"])


class ProjectSettingsError(ValueError):
    """What a person wrote are no settings. problems: each names field, value, reason and remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def check_settings(written: object) -> ProjectSettings:
    """From what a person wrote, as JSON has it; unknown fields are refused. Raises ProjectSettingsError."""
    try:
        return ProjectSettings.model_validate_json(json.dumps(written), extra="forbid")
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)
        raise ProjectSettingsError([_problem(error) for error in errors]) from None


def _problem(error: ErrorDetails) -> str:
    path, remedy = "settings", ""
    model: type[BaseModel] | None = ProjectSettings
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
        field = model.model_fields.get(part) if model is not None and isinstance(part, str) else None
        if field is not None:
            remedy = field.description or remedy
            model = _WITHIN.get(str(part))
    if error["type"] == "extra_forbidden":
        return f"{path}: there is no such setting. Leave it out."
    reason = error["msg"].removeprefix("Value error, ")
    shown = "" if error["type"] == "missing" else f"={json.dumps(error['input'])[:MAX_SHOWN]}"
    return f"{path}{shown}: {reason[0].lower()}{reason[1:]}." + (f" Set it to {remedy}." if remedy else "")


_WITHIN: dict[str, type[BaseModel]] = {
    "caps": Caps,
    "model_aliases": Alias,
    "model_permissions": ModelPermissions,
}


def settings_attribute(settings: ProjectSettings) -> dict[str, Any]:
    """The inverse of `parse_settings`; settings that choose nothing are left out."""
    chosen = settings.model_dump_json(exclude_defaults=True)
    return {} if settings == DEFAULT_SETTINGS else {ATTRIBUTE: {"S": chosen}}
