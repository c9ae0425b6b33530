"""The programs of a stack that are Python modules of ours: local AWS, the deployment, the OpenAI stand-in."""

import os
import sys
from pathlib import Path

from local.aws.exchange import CACHE_PORT_VARIABLE, FOLDER_VARIABLE
from local.ports import accepts, free_port
from local.processes import ManagedProcess, ProcessTable, wait_until
from local.state import StackFolder

AWS_TIMEOUT_S = 30
DEPLOYMENT_TIMEOUT_S = 120
STAND_IN_TIMEOUT_S = 20
TAIL_LINES = 15
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
"""What our own programs get of the caller's environment: no credentials, no AWS settings, no proxies."""


class StartError(Exception):
    """A part did not start or died; the message says which, why and what it last wrote."""


class Components:
    """Starts and watches them."""

    def __init__(self, folder: StackFolder, table: ProcessTable, root: Path) -> None:
        self._folder = folder
        self._table = table
        self._root = root
        self._ready_file = folder.exchange / "ready"
        self._aws: ManagedProcess | None = None
        self._stand_in: ManagedProcess | None = None
        self._stand_in_port = 0

    def start_aws(self, cache_port: int) -> None:
        """cache_port: where the cache's endpoint will be."""
        self._ready_file.unlink(missing_ok=True)
        settings = {
            FOLDER_VARIABLE: str(self._folder.exchange),
            CACHE_PORT_VARIABLE: str(cache_port),
            "MOTO_ACM_VALIDATION_WAIT": "0",
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        }
        self._aws = self._start("local-aws", ["local.aws.server", str(self._ready_file)], settings)

    def wait_for_aws(self) -> str:
        """The address at which local AWS answers. Raises StartError."""
        process = self._aws
        ready = wait_until(
            lambda: self._ready_file.exists() or process is None or not process.is_alive, AWS_TIMEOUT_S
        )
        if process is None or not ready or not process.is_alive:
            raise StartError(f"local AWS did not start\n{self.tail(self._log('local-aws'))}")
        return f"http://127.0.0.1:{self._ready_file.read_text()}"

    def start_deployment(self, openai_key: str) -> ManagedProcess:
        """Runs the Pulumi program, which waits for local AWS by itself."""
        folder = self._folder
        arguments = ["local.deploy", folder.stack, str(folder.path.parent), str(self._ready_file)]
        return self._start("deployment", arguments, {"OPENAI_API_KEY": openai_key})

    def wait_for_deployment(self, process: ManagedProcess) -> None:
        """Raises StartError with what the deployment wrote."""
        wait_until(lambda: not process.is_alive or not self._aws_lives(), DEPLOYMENT_TIMEOUT_S)
        code = process.exit_code
        self._table.forget(process)
        if not self._aws_lives():
            self.check()
        if code is None:
            process.kill()
            raise StartError(f"the deployment did not end within {DEPLOYMENT_TIMEOUT_S} s")
        if code != 0:
            raise StartError(f"the deployment failed\n{self.tail(self._log('deployment'))}")

    def start_stand_in(self) -> str:
        """The base URL at which the OpenAI stand-in will answer."""
        self._stand_in_port = free_port()
        self._start_stand_in()
        return f"http://127.0.0.1:{self._stand_in_port}/v1"

    def wait_for_stand_in(self) -> None:
        """Raises StartError."""
        process = self._stand_in
        if process is None:
            return
        wait_until(lambda: accepts(self._stand_in_port) or not process.is_alive, STAND_IN_TIMEOUT_S)
        if not accepts(self._stand_in_port):
            raise StartError(f"the OpenAI stand-in did not start\n{self.tail(self._log('stand-in'))}")

    def check(self) -> None:
        """Raises StartError when local AWS, which keeps all in memory, is gone; restarts the stand-in."""
        if not self._aws_lives():
            raise StartError(f"local AWS died, and with it the stack\n{self.tail(self._log('local-aws'))}")
        if self._stand_in is not None and not self._stand_in.is_alive:
            self._table.forget(self._stand_in)
            self._start_stand_in()

    @staticmethod
    def tail(log_path: Path) -> str:
        """The last lines of a log, under its path."""
        lines = log_path.read_text(errors="replace").splitlines() if log_path.exists() else []
        return "\n".join([f"last lines of {log_path}:", *(f"  {line}" for line in lines[-TAIL_LINES:])])

    def _aws_lives(self) -> bool:
        return self._aws is not None and self._aws.is_alive

    def _start_stand_in(self) -> None:
        arguments = ["local.stand_in", "--host", "127.0.0.1", "--port", str(self._stand_in_port)]
        self._stand_in = self._start("stand-in", arguments, {})

    def _start(self, name: str, module_and_arguments: list[str], settings: dict[str, str]) -> ManagedProcess:
        environment = {**inherited_environment(), **settings}
        command = [sys.executable, "-m", *module_and_arguments]
        return self._table.start(name, command, environment, self._root, self._log(name))

    def _log(self, name: str) -> Path:
        return self._folder.logs / f"{name}.log"


def inherited_environment() -> dict[str, str]:
    """The part of this process's environment that our own programs get."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | {"PYTHONUNBUFFERED": "1"}
