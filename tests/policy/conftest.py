"""The production stack's graph, in which each test plants its mistake."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from policy.resource import Resource
from tests.infra.graph import Registered, stack_graph

Mutate = Callable[..., list[Resource]]


@pytest.fixture(scope="session")
def graph() -> Sequence[Registered]:
    return stack_graph("prod").resources


@pytest.fixture
def with_changed(graph: Sequence[Registered]) -> Mutate:
    """with_changed(kind, name, path, value): the graph with one property of one resource set otherwise.

    kind: end of the type token. path: keys separated by dots. Fails when the resource is not there.
    """

    def mutate(kind: str, name: str, path: str, value: Any) -> list[Resource]:
        [target] = [r for r in graph if r.custom and r.type.endswith(f":{kind}") and r.name == name]
        properties = deepcopy(dict(target.properties))
        *parents, last = path.split(".")
        place: Any = properties
        for step in parents:
            place = place[int(step)] if step.isdigit() else place[step]
        place[int(last) if last.isdigit() else last] = value
        return [replace(r, properties=properties) if r is target else r for r in graph]

    return mutate
