"""GET /v1/models and /v1/models/{id}: a list that stays the same, and names that are taken for models."""

from typing import Any

from local.stand_in.behaviour import MODELS as BEHAVIOURS

CREATED_S = 1_735_689_600
LISTED = (
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-mini",
    "o3",
    "o4-mini",
    "gpt-3.5-turbo-instruct",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "omni-moderation-latest",
    *BEHAVIOURS,
)
_FAMILIES = ("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:", "text-embedding-", "omni-moderation-", "stand-in")


def is_known(model: str) -> bool:
    """Whether requests may name the model: the listed ones, and others of their families."""
    return model.startswith(_FAMILIES) and "nonexistent" not in model


def describe(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": CREATED_S, "owned_by": "stand-in"}


def listing() -> dict[str, Any]:
    return {"object": "list", "data": [describe(model) for model in LISTED]}
