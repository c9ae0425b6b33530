"""What a project has chosen for itself: one object, a JSON text in the project's item in the table.

Attribute `settings` of `PROJECT#<id>` / `PROJECT`. What is missing is as the stack has it; a field that this
version does not know is passed over, so that a release can be taken back.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

ATTRIBUTE = "settings"
LONGEST_CACHE_TTL_S = 30 * 24 * 3600


class ProjectSettings(BaseModel):
    """Settings of one project.

    cache_ttl_s: how long an answer is kept, in place of the stack's response_cache_ttl_s; 0: nothing is kept.
    cache_all: answers are kept of every request without a side effect, not only of those that ask for a
    repeatable one. cache_shared: answers are shared with the organization's other projects that say so too.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    cache_ttl_s: Annotated[int, Field(ge=0, le=LONGEST_CACHE_TTL_S)] | None = None
    cache_all: bool = False
    cache_shared: bool = False


DEFAULT_SETTINGS = ProjectSettings()


def parse_settings(item: Mapping[str, Mapping[str, Any]]) -> ProjectSettings:
    """The settings in a project's item. Raises ValueError when they are damaged, KeyError when no text."""
    attribute = item.get(ATTRIBUTE)
    return DEFAULT_SETTINGS if attribute is None else ProjectSettings.model_validate_json(attribute["S"])


def settings_attribute(settings: ProjectSettings) -> dict[str, Any]:
    """The inverse of `parse_settings`; settings that choose nothing are left out."""
    chosen = settings.model_dump_json(exclude_defaults=True)
    return {} if settings == DEFAULT_SETTINGS else {ATTRIBUTE: {"S": chosen}}
