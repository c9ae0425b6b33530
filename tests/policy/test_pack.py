"""The policy pack hands the engine's resources to the invariants, and leaves out what cannot be known yet.

The policy SDK wants an older protobuf than the rest, so it lives in the pack's own environment; here stands
what the pack uses of it.
"""

import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from infra.config import ROOT
from policy.invariants import INVARIANTS
from tests.infra.graph import Registered

UNKNOWN = "not known yet"


class UnknownValueError(Exception):
    """What the SDK raises for a value that a preview does not know."""


class Wrapped(Mapping[str, Any]):
    """The SDK's wrapping of properties: neither a dict nor a list, and it raises at what is unknown."""

    def __init__(self, target: Mapping[str, Any]) -> None:
        self.target = target

    def __getitem__(self, key: str) -> Any:
        return wrapped(self.target[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self.target)

    def __len__(self) -> int:
        return len(self.target)


class WrappedList(Sequence[Any]):
    def __init__(self, target: Sequence[Any]) -> None:
        self.target = target

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self.target[index])

    def __len__(self) -> int:
        return len(self.target)


def wrapped(value: Any) -> Any:
    if value == UNKNOWN:
        raise UnknownValueError
    if isinstance(value, Mapping):
        return Wrapped(value)
    return WrappedList(value) if isinstance(value, list) else value


Load = Callable[[bool], dict[str, Any]]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Run the pack's file as the engine does; gives its policies by name."""

    def run(preview: bool) -> dict[str, Any]:
        sdk, proxy = ModuleType("pulumi_policy"), ModuleType("pulumi_policy.proxy")
        packs: list[Sequence[Any]] = []
        names = ("PolicyResource", "ReportViolation", "StackValidationArgs")
        vars(sdk).update(
            dict.fromkeys(names),
            EnforcementLevel=SimpleNamespace(MANDATORY="mandatory"),
            StackValidationPolicy=lambda **given: SimpleNamespace(**given),
            PolicyPack=lambda _, policies: packs.append(policies),
        )
        vars(proxy).update(UNKNOWN_STRING_VALUE=UNKNOWN, UnknownValueError=UnknownValueError)
        monkeypatch.setitem(sys.modules, "pulumi_policy", sdk)
        monkeypatch.setitem(sys.modules, "pulumi_policy.proxy", proxy)
        monkeypatch.setenv("PULUMI_DRY_RUN", "true" if preview else "false")
        monkeypatch.setattr(sys, "path", list(sys.path))
        runpy.run_path(str(ROOT / "policy/pack/__main__.py"), run_name="__main__")
        [policies] = packs
        return {policy.name: policy for policy in policies}

    return run


def engine_resource(resource: Registered, **changed: Any) -> Any:
    """A resource as the SDK gives it to a policy."""
    return SimpleNamespace(
        resource_type=resource.type,
        name=resource.name,
        props=Wrapped({**resource.properties, **changed}),
        provider=SimpleNamespace(name=resource.provider) if resource.provider else None,
        opts=SimpleNamespace(protect=resource.protect, ignore_changes=list(resource.ignore_changes)),
    )


def broken(policy: Any, resources: list[Any]) -> list[str]:
    found: list[str] = []
    policy.validate(SimpleNamespace(resources=resources), found.append)
    return found


def test_every_invariant_is_a_mandatory_policy_with_a_description(load: Load) -> None:
    policies = load(False)
    assert set(policies) == {invariant.__name__.replace("_", "-") for invariant in INVARIANTS}
    for policy in policies.values():
        assert policy.enforcement_level == "mandatory"
        assert policy.description


def test_production_breaks_no_policy(load: Load, graph: list[Registered]) -> None:
    resources = [engine_resource(resource) for resource in graph]
    assert [sentence for policy in load(False).values() for sentence in broken(policy, resources)] == []


def test_a_mistake_deep_in_a_resource_is_reported(load: Load, graph: list[Registered]) -> None:
    plain = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    resources = [
        engine_resource(r, rules=[plain]) if "bucketServerSideEncryption" in r.type else engine_resource(r)
        for r in graph
    ]
    found = broken(load(False)["encrypted-with-the-stacks-key"], resources)
    assert "Bucket data is not encrypted with the stack's key" in found


def test_what_a_preview_does_not_know_stops_an_invariant_instead_of_breaking_it(
    load: Load, graph: list[Registered]
) -> None:
    policies = load(True)
    resources = [
        engine_resource(
            r, **({"containerDefinitions": UNKNOWN} if r.type.endswith(":TaskDefinition") else {})
        )
        for r in graph
    ]
    with pytest.raises(UnknownValueError):
        broken(policies["containers-are-unprivileged"], resources)
    assert broken(policies["keys-rotate"], resources) == []


def test_an_output_that_aws_has_yet_to_give_is_unknown_in_a_preview(
    load: Load, graph: list[Registered]
) -> None:
    resources = []
    for resource in graph:
        found = engine_resource(resource)
        if resource.type == "aws:kms/key:Key":
            found.props = Wrapped({k: v for k, v in resource.properties.items() if k != "arn"})
        resources.append(found)
    with pytest.raises(UnknownValueError):
        broken(load(True)["encrypted-with-the-stacks-key"], resources)
