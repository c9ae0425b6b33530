"""Whom a key belongs to: its project and organization, with the limits and budgets that hold for them.

Items of the table: a project is `PROJECT#<id>` / `PROJECT`, its limits for one model
`PROJECT#<id>` / `RATE_LIMIT#<model>`, an organization `ORG#<id>` / `ORG`; their attributes are those of
`app/limits.py`, a project's also that of `app/project_settings.py`. A project that has no item has no keys
that work; an organization needs one only for limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.limits import NO_LIMITS, Limits, parse_limits
from app.project_settings import DEFAULT_SETTINGS, ProjectSettings, parse_settings

MODEL = "RATE_LIMIT#"


@dataclass(frozen=True, slots=True)
class Owners:
    """active: the project is not archived. models: the project's limits for single models."""

    active: bool
    project: Limits
    models: tuple[tuple[str, Limits], ...]
    organization: Limits
    settings: ProjectSettings = DEFAULT_SETTINGS


def parse_owners(
    project_items: Sequence[Mapping[str, Mapping[str, Any]]],
    organization_item: Mapping[str, Mapping[str, Any]] | None,
) -> Owners | None:
    """None when the project has no item. Raises KeyError or ValueError when an item is damaged."""
    project, models = None, []
    for item in project_items:
        name = item["sk"]["S"]
        if name == "PROJECT":
            project = item
        elif name.startswith(MODEL):
            models.append((name.removeprefix(MODEL), parse_limits(item)))
    if project is None:
        return None
    return Owners(
        # Anything but the one word that lets a project's keys in keeps them out.
        active=project["status"]["S"] == "active",
        project=parse_limits(project),
        models=tuple(sorted(models, key=lambda model: model[0])),
        organization=parse_limits(organization_item) if organization_item else NO_LIMITS,
        settings=parse_settings(project),
    )
