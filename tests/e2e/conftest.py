"""One staging stack for the whole of `tests/e2e`, brought up by the command that people use."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from infra.config import ROOT
from local.demo.evidence import Evidence


def local(folder: Path, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """`python -m local COMMAND staging`, with its state in `folder`."""
    line = [sys.executable, "-m", "local", command, "staging", "--folder", str(folder), *options]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `up --json` printed of a stack that runs."""
    folder = tmp_path_factory.mktemp("stack")
    try:
        up = local(folder, "up", "--json")
        assert up.returncode == 0, up.stderr
        yield json.loads(up.stdout)
    finally:
        assert local(folder, "down").returncode == 0


@pytest.fixture(scope="session")
def evidence(stack: dict[str, Any]) -> Evidence:
    return Evidence(stack)


@pytest.fixture
def client(stack: dict[str, Any]) -> Iterator[openai.OpenAI]:
    """The official SDK, through the load balancer."""
    with openai.OpenAI(base_url=stack["gateway"]["base_url"], api_key=stack["api_key"]) as client:
        yield client
