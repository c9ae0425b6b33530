"""A stack's folder `.local/<stack>/`: what runs, with which addresses and keys, and everything it wrote.

The folder is readable by its owner only (0700), the files that hold keys as well (0600).
"""

import fcntl
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from local.files import read_json, write_json
from local.processes import ProcessRecord

MOCKS, PULUMI = "mocks", "pulumi"
ENGINES = (MOCKS, PULUMI)
Phase = Literal["starting", "running", "failed", "stopping", "stopped"]
PUBLIC_KEYS = (
    "stack", "state", "gateway", "dashboard_url", "admin_key", "api_key", "aws", "stand_in", "tasks",
)  # fmt: skip
"""What `up --json` and `status --json` print."""


@dataclass(frozen=True)
class UpRequest:
    """What a stack was asked to be.

    config: key -> value. upstream: a base URL, or None for the stand-in. engine: what deploys it, Pulumi's
    mock seam or the real engine.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    upstream: str | None = None
    engine: str = MOCKS


@dataclass
class StackState:
    """The state file's content; see the README of `up --json` for the shapes."""

    stack: str
    state: Phase
    supervisor: ProcessRecord | None = None
    request: UpRequest = field(default_factory=UpRequest)
    failure: str | None = None
    gateway: dict[str, Any] | None = None
    dashboard_url: str | None = None
    admin_key: str | None = None
    api_key: str | None = None
    aws: dict[str, str] | None = None
    stand_in: dict[str, str] | None = None
    tasks: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    scaling: dict[str, Any] | None = None
    last_failure: str | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor is not None and self.supervisor.is_alive

    def public(self) -> dict[str, Any]:
        """The object that people and programs are shown."""
        return {key: getattr(self, key) for key in PUBLIC_KEYS}


class StackFolder:
    """Where each of a stack's files lies."""

    def __init__(self, base: Path, stack: str) -> None:
        self.stack = stack
        self.path = base / stack
        self.logs = self.path / "logs"
        self.certificates = self.path / "certificates"
        self.exchange = self.path / "aws"
        self.balancer = self.path / "balancer"
        self.cache = self.path / "cache"
        self.engine = self.path / "engine"
        self.processes = self.path / "processes.json"
        self.progress = self.path / "progress.jsonl"
        self._state = self.path / "state.json"
        self._request = self.path / "request.json"
        self._lock = self.path / "lock"

    def create(self) -> None:
        """Makes the folders, readable by their owner only."""
        for folder in (self.path, self.logs, self.certificates, self.exchange):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    def read(self) -> StackState:
        """The state as it was last written; `stopped` where there is none."""
        found = read_json(self._state, None)
        if found is None:
            return StackState(self.stack, "stopped")
        record = found.pop("supervisor")
        request = UpRequest(**found.pop("request"))
        return StackState(**found, supervisor=ProcessRecord(**record) if record else None, request=request)

    def read_request(self) -> tuple[UpRequest, float]:
        """What `up` asked for, and when, in seconds since the epoch."""
        found = read_json(self._request, {})
        return UpRequest(**found["request"]), found["at"]

    def write_request(self, request: UpRequest, at: float) -> None:
        write_json(self._request, {"request": asdict(request), "at": at})

    def write(self, state: StackState) -> None:
        write_json(self._state, asdict(state))

    def forget(self) -> None:
        """Removes what a stopped stack must not leave: keys, certificates and sockets. Logs stay."""
        self._state.unlink(missing_ok=True)
        for folder in (self.certificates, self.exchange, self.balancer, self.cache):
            for path in folder.glob("*") if folder.exists() else ():
                path.unlink()
        # The engine's state holds the outputs; it marks them as secrets but encrypts by a known passphrase.
        shutil.rmtree(self.engine, ignore_errors=True)

    def is_locked(self) -> bool:
        """Whether a supervisor has the folder."""
        descriptor = self.lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def clear_logs(self) -> None:
        """Removes what an earlier run wrote."""
        self.progress.unlink(missing_ok=True)
        for path in self.logs.glob("*.log"):
            path.unlink()

    def lock(self) -> int | None:
        """Takes the folder for this process's life, however it ends; None if another process has it."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor
