"""A resource as a predicate sees it, and the ways to look into a graph of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PROVIDER = "pulumi:providers:aws"


@dataclass(frozen=True)
class Resource:
    """One resource. type: Pulumi's token. properties: inputs and outputs under Pulumi's (camelCase) names.
    provider: logical name of its explicit provider, None for the default one."""

    type: str
    name: str
    properties: Mapping[str, Any]
    provider: str | None = None
    protect: bool = False
    ignore_changes: Sequence[str] = field(default=())

    def get(self, *path: str | int) -> Any:
        """What stands at `path` in the properties, None where it ends before."""
        value: Any = self.properties
        for step in path:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def __str__(self) -> str:
        return f"{self.type.rpartition(':')[2]} {self.name}"


Graph = Sequence[Resource]


def of_type(graph: Graph, *types: str) -> list[Resource]:
    """Resources whose type token starts with `aws:` and one of `types`, as in `s3/bucket:Bucket`."""
    tokens = {f"aws:{suffix}" for suffix in types}
    return [resource for resource in graph if resource.type in tokens]


def key_arns(graph: Graph) -> set[str]:
    """ARNs of the stack's own encryption keys."""
    return {key.properties["arn"] for key in of_type(graph, "kms/key:Key")}


def default_tags(graph: Graph) -> Mapping[str, Mapping[str, str]]:
    """Provider's name -> the tags it puts on everything it makes. A provider's nested inputs are JSON."""
    found = {}
    for resource in graph:
        if resource.type == PROVIDER:
            block = resource.get("defaultTags") or {}
            found[resource.name] = (json.loads(block) if isinstance(block, str) else block).get("tags", {})
    return found


def is_production(graph: Graph) -> bool:
    """Whether the providers' tags call this a production environment."""
    return any(tags.get("environment") == "production" for tags in default_tags(graph).values())


def containers(graph: Graph) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    """Every container definition with the task definition it stands in."""
    for task in of_type(graph, "ecs/taskDefinition:TaskDefinition"):
        for container in json.loads(task.properties["containerDefinitions"]):
            yield task, container
