"""The graphs of both committed stacks, each made once for all tests."""

import pytest

from tests.infra.graph import StackGraph, stack_graph


@pytest.fixture(scope="session")
def staging() -> StackGraph:
    return stack_graph("staging")


@pytest.fixture(scope="session")
def production() -> StackGraph:
    return stack_graph("prod")


@pytest.fixture(params=["staging", "prod"])
def either(request: pytest.FixtureRequest) -> StackGraph:
    """Both, one after the other."""
    return stack_graph(request.param)
