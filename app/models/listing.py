"""What GET /v1/models tells a project: what it may use, by the models' own names and by their aliases."""

from collections.abc import Collection, Mapping
from typing import Any

from app.models.permissions import ModelPermissions

OWNER = "gateway"


def described(alias: str) -> dict[str, Any]:
    """An alias as OpenAI describes a model; nobody knows when it was created."""
    return {"id": alias, "object": "model", "created": 0, "owned_by": OWNER}


def listing(
    upstream: Mapping[str, Any], aliases: Collection[str], permissions: ModelPermissions | None
) -> dict[str, Any]:
    """The upstream's list without what the project may not use, and with the aliases at its end."""
    data = upstream.get("data")
    models = [model for model in data if isinstance(model, dict)] if isinstance(data, list) else []
    shown = [model for model in models if permissions is None or permissions.permit(str(model.get("id")))]
    return {**upstream, "data": [*shown, *map(described, aliases)]}
