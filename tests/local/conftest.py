"""Local AWS for every test of the local runtime, and one whole stack for those that need it."""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.config import ROOT
from local.aws.client import LocalAws
from local.aws.exchange import CACHE_PORT_VARIABLE, FOLDER_VARIABLE
from local.components import inherited_environment
from local.ports import free_port
from local.processes import ProcessTable, wait_until

REGION = "us-east-1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class LocalAwsServer:
    """A running local AWS. exchange: the folder by which it and the runtime tell each other things."""

    aws: LocalAws
    exchange: Path
    cache_port: int


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsServer]:
    folder = tmp_path_factory.mktemp("aws")
    ready, cache_port = folder / "ready", free_port()
    environment = {
        **inherited_environment(),
        FOLDER_VARIABLE: str(folder),
        CACHE_PORT_VARIABLE: str(cache_port),
        "MOTO_ACM_VALIDATION_WAIT": "0",
    }
    processes = ProcessTable(folder / "processes.json")
    command = [sys.executable, "-m", "local.aws.server", str(ready)]
    server = processes.start("aws", command, environment, ROOT, folder / "log")
    try:
        assert wait_until(lambda: ready.exists() or not server.is_alive, 20), (folder / "log").read_text()
        yield LocalAwsServer(LocalAws(f"http://127.0.0.1:{ready.read_text()}", REGION), folder, cache_port)
    finally:
        processes.stop_all(1)


@pytest.fixture(scope="session")
def aws(aws_server: LocalAwsServer) -> LocalAws:
    return aws_server.aws


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ProcessTable]:
    table = ProcessTable(tmp_path / "processes.json")
    yield table
    table.stop_all(1)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"test-{next(_numbers)}"


@dataclass(frozen=True)
class RunningStack:
    """What `up --json` printed of a stack, and where it keeps its files."""

    name: str
    folder: Path
    facts: dict[str, Any]

    @property
    def aws(self) -> LocalAws:
        return LocalAws(self.facts["aws"]["endpoint_url"], self.facts["aws"]["region"])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / self.name / "state.json").read_text())
        return found

    def pid_of(self, component: str) -> int:
        return int(next(item["pid"] for item in self.state()["components"] if item["name"] == component))


def run_local(folder: Path, *arguments: str, timeout_s: float = 90) -> "subprocess.CompletedProcess[str]":
    """`python -m local` with its state in `folder`."""
    command = [sys.executable, "-m", "local", *arguments, "--folder", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The staging stack, up. Tests that break a part must leave it whole."""
    folder = tmp_path_factory.mktemp("stacks")
    done = run_local(folder, "up", "staging", "--json")
    try:
        assert done.returncode == 0, done.stderr[-4000:]
        yield RunningStack("staging", folder, json.loads(done.stdout))
    finally:
        run_local(folder, "down", "staging")
