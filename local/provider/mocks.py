"""Pulumi's mock seam, filled with the handlers of this package.

https://www.pulumi.com/docs/iac/guides/testing/unit/ describes the seam: for each resource the program
registers, the runtime asks `new_resource` for an id and outputs; for each data source it asks `call`.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc

from local.aws.client import LocalAws
from local.provider.registry import InvokeRequest, ResourceRequest, invoke_handler, resource_handler

PROVIDER_PREFIX = "pulumi:providers:"


@dataclass(frozen=True)
class CreatedResource:
    """A resource that a handler created, for the progress display. seconds: what it took."""

    type: str
    name: str
    id: str
    seconds: float


class LocalAwsMocks(Mocks):
    """Creates every custom resource on local AWS; components exist in the program alone."""

    def __init__(self, aws: LocalAws, report: Callable[[CreatedResource], None]) -> None:
        self._aws = aws
        self._report = report
        self._default_tags: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self.failures: list[BaseException] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = plain(args.inputs)
        if args.typ.startswith(PROVIDER_PREFIX):
            provider_id = f"{args.name}-id"
            self._default_tags[provider_id] = default_tags_of(inputs)
            return provider_id, inputs
        if not args.custom:
            return "", inputs
        started = time.monotonic()
        tags = {**self._tags_of(args.provider), **tags_of(inputs)}
        try:
            created = resource_handler(args.typ)(
                ResourceRequest(self._aws, args.typ, args.name, inputs, tags)
            )
        except Exception as error:
            error.add_note(f"while creating {args.typ} {args.name}")
            with self._lock:
                self.failures.append(error)
            raise
        self._report(CreatedResource(args.typ, args.name, created.id, time.monotonic() - started))
        outputs = {**inputs, **{key: value for key, value in created.outputs.items() if value is not None}}
        return created.id, outputs | {"tagsAll": tags}

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        try:
            return invoke_handler(args.token)(InvokeRequest(self._aws, plain(args.args)))
        except Exception as error:
            error.add_note(f"while calling {args.token}")
            with self._lock:
                self.failures.append(error)
            raise

    def _tags_of(self, provider: str | None) -> dict[str, str]:
        """The default tags of a provider, which is referred to as URN::id."""
        return self._default_tags.get((provider or "").rpartition("::")[2], {})


def default_tags_of(provider_inputs: dict[str, Any]) -> dict[str, str]:
    """A provider's default tags; what is no text is JSON in a provider's inputs."""
    block = provider_inputs.get("defaultTags") or {}
    tags: dict[str, str] = (json.loads(block) if isinstance(block, str) else block).get("tags") or {}
    return tags


def tags_of(inputs: dict[str, Any]) -> dict[str, str]:
    """A resource's own tags (a list of another kind under that name, as an image's, is none)."""
    tags = inputs.get("tags")
    return tags if isinstance(tags, dict) else {}


def plain(value: Any) -> Any:
    """A property without the wire's wrapping of secrets, and with whole numbers as integers."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
