"""One staging stack for the whole of `tests/e2e`, brought up by the command that people use."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from local.demo.evidence import Evidence
from tests.local.conftest import run_local


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `up --json` printed of a stack that runs."""
    folder = tmp_path_factory.mktemp("stack")
    try:
        up = run_local(folder, "up", "staging", "--json")
        assert up.returncode == 0, up.stderr
        facts: dict[str, Any] = json.loads(up.stdout)
        yield facts
    finally:
        assert run_local(folder, "down", "staging").returncode == 0


@pytest.fixture(scope="session")
def evidence(stack: dict[str, Any]) -> Evidence:
    return Evidence(stack)


@pytest.fixture
def client(stack: dict[str, Any]) -> Iterator[openai.OpenAI]:
    """The official SDK, through the load balancer."""
    with openai.OpenAI(base_url=stack["gateway"]["base_url"], api_key=stack["api_key"]) as client:
        yield client
