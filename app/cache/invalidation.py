"""What a caller invalidates: a namespace, tags, or both; what rests on any of them is forgotten."""

from dataclasses import dataclass

from app.body import json_object
from app.cache.wishes import check_name, check_tags
from app.errors import invalid_request
from app.validate import array, missing


@dataclass(frozen=True, slots=True)
class Invalidation:
    namespace: str | None
    tags: tuple[str, ...]


def invalidation(body: bytes) -> Invalidation:
    """The body of POST /v1/cache/invalidate. Raises ApiError (400) that names the field."""
    fields = json_object(body)
    for name in fields:
        if name not in ("namespace", "tags"):
            # A name that is misspelt would invalidate less than was meant.
            raise invalid_request(
                f"{name[:64]} is unknown. Send namespace, tags, or both.",
                param=name[:64],
                code="unknown_parameter",
            )
    namespace, tags = fields.get("namespace"), fields.get("tags")
    if namespace is None and tags is None:
        raise missing("namespace", "a namespace, or tags, or both")
    return Invalidation(
        None if namespace is None else check_name("namespace", namespace),
        () if tags is None else check_tags("tags", array("tags", tags)),
    )
