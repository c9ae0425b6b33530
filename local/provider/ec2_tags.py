"""Tags as EC2's create calls take them."""

from typing import Any

from local.provider.registry import ResourceRequest


def tag_specification(request: ResourceRequest, kind: str) -> list[dict[str, Any]] | None:
    """kind: EC2's name of the resource type, as `security-group`."""
    tags = request.tag_list()
    return [{"ResourceType": kind, "Tags": tags}] if tags else None
