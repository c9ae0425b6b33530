"""Which function creates a resource of which type, and what it is given.

Names of inputs and outputs are Pulumi's on the wire (camelCase), not Python's.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from local.aws.client import LocalAws

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Created:
    """A resource that exists now. outputs: what the provider adds to the inputs."""

    id: str
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceRequest:
    """A resource to create. name: its logical name; tags: its own and the provider's default ones."""

    aws: LocalAws
    type: str
    name: str
    inputs: Inputs
    tags: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        """An input that the resource cannot be without. Raises MissingInputError."""
        if self.inputs.get(key) is None:
            raise MissingInputError(f"{self.type} {self.name}: {key} is not set")
        return self.inputs[key]

    def get(self, key: str, default: Any = None) -> Any:
        """An input, or `default` where it is not set."""
        value = self.inputs.get(key)
        return default if value is None else value

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Calls local AWS without the parameters that are None."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self.aws.call(service, operation, **given)

    def physical_name(self, key: str = "name", longest: int = 255) -> str:
        """The name given under `key`, or one made of the logical name, as the engine makes it."""
        if given := self.inputs.get(key):
            return str(given)
        suffix = hashlib.sha256(f"{self.type}/{self.name}".encode()).hexdigest()[:7]
        return f"{self.name[: longest - 8]}-{suffix}"

    def tag_list(self, key: str = "Key", value: str = "Value") -> list[dict[str, str]] | None:
        """The tags as most APIs take them."""
        return [{key: name, value: text} for name, text in self.tags.items()] or None


@dataclass(frozen=True)
class InvokeRequest:
    """A data source to read."""

    aws: LocalAws
    inputs: Inputs


ResourceHandler = Callable[[ResourceRequest], Created]
InvokeHandler = Callable[[InvokeRequest], dict[str, Any]]
Handler = TypeVar("Handler")

_resources: dict[str, ResourceHandler] = {}
_functions: dict[str, InvokeHandler] = {}


class UnknownTypeError(Exception):
    """The program uses a resource type or function that local AWS does not know."""


class MissingInputError(Exception):
    """A resource lacks an input that AWS requires."""


def resource(token: str) -> Callable[[ResourceHandler], ResourceHandler]:
    """Registers the decorated function for resources of type `token`."""

    def register(handler: ResourceHandler) -> ResourceHandler:
        _resources[token] = handler
        return handler

    return register


def function(token: str) -> Callable[[InvokeHandler], InvokeHandler]:
    """Registers the decorated function for the data source `token`."""

    def register(handler: InvokeHandler) -> InvokeHandler:
        _functions[token] = handler
        return handler

    return register


def resource_handler(token: str) -> ResourceHandler:
    """Raises UnknownTypeError."""
    return _found(_resources, token, "resource type")


def invoke_handler(token: str) -> InvokeHandler:
    """Raises UnknownTypeError."""
    return _found(_functions, token, "function")


def resource_types() -> frozenset[str]:
    """The type tokens that can be created here."""
    return frozenset(_resources)


def _found(handlers: Mapping[str, Handler], token: str, kind: str) -> Handler:
    if token not in handlers:
        raise UnknownTypeError(
            f"local AWS does not know the {kind} {token}: add a handler for it in local/provider/"
        )
    return handlers[token]
