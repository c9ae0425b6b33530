"""Which function creates a resource of which type, and what it is given.

Names of inputs and outputs are Pulumi's on the wire (camelCase), not Python's.
"""

import secrets
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
        """The name given under `key`, or the logical name with random digits, as the engine makes it."""
        if given := self.inputs.get(key):
            return str(given)
        return f"{self.name[: longest - 8]}-{secrets.token_hex(4)[:7]}"

    def tag_list(self, key: str = "Key", value: str = "Value") -> list[dict[str, str]] | None:
        """The tags as most APIs take them."""
        return [{key: name, value: text} for name, text in self.tags.items()] or None


@dataclass(frozen=True)
class InvokeRequest:
    """A data source to read."""

    aws: LocalAws
    inputs: Inputs


@dataclass(frozen=True)
class RemovalRequest:
    """A resource to remove. id: what creating it returned."""

    aws: LocalAws
    id: str
    inputs: Inputs


ResourceHandler = Callable[[ResourceRequest], Created]
RemovalHandler = Callable[[RemovalRequest], None]
InvokeHandler = Callable[[InvokeRequest], dict[str, Any]]
Handler = TypeVar("Handler")

_resources: dict[str, ResourceHandler] = {}
_functions: dict[str, InvokeHandler] = {}
_removals: dict[str, RemovalHandler] = {}


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


def removal(token: str) -> Callable[[RemovalHandler], RemovalHandler]:
    """Registers the decorated function for the end of resources of type `token`.

    Only what lives on after its removal needs one: local AWS is thrown away as a whole.
    """

    def register(handler: RemovalHandler) -> RemovalHandler:
        _removals[token] = handler
        return handler

    return register


def remove(token: str, request: RemovalRequest) -> None:
    """Removes a resource as AWS would, where that leaves something behind; else forgets it."""
    if handler := _removals.get(token):
        handler(request)


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
