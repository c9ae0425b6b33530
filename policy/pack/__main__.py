"""The invariants as a policy pack: `pulumi up --policy-pack policy/pack`. Only the engine starts this file.

Each invariant looks at the whole stack. In a preview some values are not known yet, an ARN for instance: an
invariant that needs one is left out, and Pulumi says so. An update leaves out none.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

# The engine starts this with its own folder on the path; the invariants are two folders up.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from policy.invariants import INVARIANTS, Invariant
from policy.resource import Resource

GIVEN_BY_AWS = ("arn", "bucket")
"""Outputs that the invariants use. A preview leaves them out of a resource that is not there yet."""

IS_PREVIEW = os.environ.get("PULUMI_DRY_RUN") == "true"


class Known(dict[str, Any]):
    """Properties of which some are unknown; looking at one of those raises what Pulumi waits for."""

    unknown: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        if key in self.unknown:
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [key])
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key in self.unknown:
            raise UnknownValueError(UNKNOWN_STRING_VALUE, [key])
        return super().get(key, default)


def plain(value: Any) -> Any:
    """A property without the policy SDK's wrapping, which the predicates' type checks would not see through.

    Raises UnknownValueError where a list holds something unknown, which makes the whole list unknown.
    """
    if isinstance(value, Mapping):
        known, unknown = {}, set()
        for key in value:
            try:
                known[key] = plain(value[key])
            except UnknownValueError:
                unknown.add(key)
        result = Known(known)
        result.unknown = frozenset(unknown)
        return result
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return [plain(entry) for entry in value]


def resource(found: PolicyResource) -> Resource:
    """What the engine knows of a resource, as the predicates see it."""
    properties = plain(found.props)
    if IS_PREVIEW:
        properties.unknown |= {key for key in GIVEN_BY_AWS if key not in properties}
    return Resource(
        type=found.resource_type,
        name=found.name,
        properties=properties,
        provider=found.provider.name if found.provider else None,
        protect=found.opts.protect,
        ignore_changes=tuple(found.opts.ignore_changes),
    )


def policy(invariant: Invariant) -> StackValidationPolicy:
    """An invariant that stops the update."""

    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        for sentence in invariant([resource(found) for found in args.resources]):
            report_violation(sentence)

    return StackValidationPolicy(
        name=invariant.__name__.replace("_", "-"),
        description=(invariant.__doc__ or "").partition("\n")[0],
        enforcement_level=EnforcementLevel.MANDATORY,
        validate=validate,
    )


PolicyPack("openai-gateway", [policy(invariant) for invariant in INVARIANTS])
