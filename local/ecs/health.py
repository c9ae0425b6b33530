"""A container's health check: its command, run as often as deployed, without waiting for it."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from local.ecs.deployed import ContainerHealthCheck
from local.ecs.environment import on_this_machine
from local.processes import ManagedProcess, ProcessTable

Health = Literal["UNKNOWN", "HEALTHY", "UNHEALTHY"]


class HealthChecker:
    """Runs one container's check. started_at, now: seconds of one monotonic clock."""

    def __init__(
        self, check: ContainerHealthCheck | None, table: ProcessTable, environment: Mapping[str, str],
        folder: Path, log_path: Path, started_at: float,
    ) -> None:  # fmt: skip
        self._check = check
        self._table = table
        self._environment = environment
        self._folder = folder
        self._log_path = log_path
        self._started_at = started_at
        self._next_at = started_at
        self._running: tuple[ManagedProcess, float] | None = None
        self._failures = 0
        self._numbers = itertools.count(1)
        self.health: Health = "UNKNOWN"

    @property
    def is_running(self) -> bool:
        """Whether a check is under way."""
        return self._running is not None

    def step(self, now: float) -> None:
        """Starts the check when it is due, and takes up its outcome when it has one."""
        if self._check is None:
            return
        if self._running is not None:
            self._take_outcome(self._check, now)
        elif now >= self._next_at:
            command = _command(self._check.command)
            process = self._table.start(
                f"health-check-{next(self._numbers)}",
                command,
                self._environment,
                self._folder,
                self._log_path,
            )
            self._running = (process, now)
            self._next_at = now + self._check.interval_s

    def close(self) -> None:
        """Ends a check that still runs."""
        if self._running is not None:
            self._running[0].kill()
            self._table.forget(self._running[0])
            self._running = None

    def _take_outcome(self, check: ContainerHealthCheck, now: float) -> None:
        assert self._running is not None  # noqa: S101 the caller looked
        process, began_at = self._running
        timed_out = now - began_at > check.timeout_s
        if process.is_alive and not timed_out:
            return
        succeeded = process.exit_code == 0 and not timed_out
        self.close()
        if succeeded:
            self._failures = 0
            self.health = "HEALTHY"
        elif now - self._started_at > check.start_period_s or self.health == "HEALTHY":
            # Failures within the start period do not count.
            self._failures += 1
            if self._failures >= check.retries:
                self.health = "UNHEALTHY"


def _command(command: tuple[str, ...]) -> list[str]:
    if command[0] == "CMD-SHELL":
        return ["/bin/sh", "-c", command[1]]
    return on_this_machine(command[1:] if command[0] == "CMD" else command)
