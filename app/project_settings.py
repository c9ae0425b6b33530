"""What a project has chosen for itself: one object, a JSON text in the project's item in the table.

Attribute `settings` of `PROJECT#<id>` / `PROJECT`. What is missing is as the stack has it; a field that this
version does not know is passed over, so that a release can be taken back.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.caps import NO_CAPS, Caps
from app.endpoints import CHAT_COMPLETIONS, EMBEDDINGS, RESPONSES, Endpoint
from app.models.alias import Aliases, ModelName
from app.models.permissions import ModelPermissions

ATTRIBUTE = "settings"
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
    model_permissions: ModelPermissions | None = None
    model_aliases: Aliases = Field(default_factory=dict)
    default_model: ModelName | None = None
    default_embedding_model: ModelName | None = None
    caps: Caps = NO_CAPS

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


def settings_attribute(settings: ProjectSettings) -> dict[str, Any]:
    """The inverse of `parse_settings`; settings that choose nothing are left out."""
    chosen = settings.model_dump_json(exclude_defaults=True)
    return {} if settings == DEFAULT_SETTINGS else {ATTRIBUTE: {"S": chosen}}
