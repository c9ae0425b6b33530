"""One task: a process of the container's command, from its start to its end."""

import datetime
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local.aws.client import LocalAws
from local.balancer.deployed import Target
from local.ecs.credentials_endpoint import CredentialsEndpoint
from local.ecs.deployed import Service, TaskDefinition
from local.ecs.environment import on_this_machine, resolve_secrets, task_environment
from local.ecs.health import HealthChecker
from local.ecs.logs import LogShipper
from local.ecs.roles import assume_for_task
from local.ports import accepts, free_port
from local.processes import ManagedProcess, ProcessTable

State = Literal["PENDING", "RUNNING", "DEACTIVATING", "STOPPING", "STOPPED"]
"""ECS's words: PENDING until the container listens, DEACTIVATING as it drains, STOPPING after SIGTERM."""


@dataclass(frozen=True)
class Machine:
    """What tasks are started on. root: the folder that stands for the image's working directory."""

    aws: LocalAws
    table: ProcessTable
    credentials: CredentialsEndpoint
    trust_store: Path
    logs: Path
    root: Path


class Task:
    """Made by `start`; moved on by `step`."""

    def __init__(
        self, identifier: str, definition: TaskDefinition, port: int, process: ManagedProcess,
        checker: HealthChecker,
        shipper: LogShipper | None, started_at: float,
    ) -> None:  # fmt: skip
        self.id = identifier
        self.definition = definition
        self.target = Target("127.0.0.1", port)
        self.process = process
        self.state: State = "PENDING"
        self.started_at = started_at
        self.stopped_reason: str | None = None
        self.created_at = datetime.datetime.now(datetime.UTC)
        self.was_healthy = False
        self._checker = checker
        self._shipper = shipper
        self._kill_at: float | None = None

    @property
    def health(self) -> str:
        return self._checker.health

    @property
    def is_active(self) -> bool:
        """Whether it counts as one of the service's running tasks."""
        return self.state in ("PENDING", "RUNNING")

    @property
    def log_failure(self) -> str | None:
        return self._shipper.failure if self._shipper else None

    def step(self, now: float) -> None:
        """Takes up what happened to the process since."""
        if self.state == "STOPPED":
            return
        if not self.process.is_alive:
            self._end(f"exited with code {self.process.exit_code}")
        elif self.state == "PENDING" and accepts(self.target.port):
            self.state = "RUNNING"
        elif self.state == "STOPPING" and self._kill_at is not None and now >= self._kill_at:
            self.process.kill()
            self._end("killed after its stop timeout")
        if self.state in ("PENDING", "RUNNING"):
            self._checker.step(now)
            self.was_healthy = self.was_healthy or self.health == "HEALTHY"

    def ship_logs(self) -> None:
        if self._shipper:
            self._shipper.ship()

    def deactivate(self, reason: str) -> None:
        """Its target is leaving; the process goes on with what it serves."""
        self.state = "DEACTIVATING"
        self.stopped_reason = reason

    def terminate(self, now: float) -> None:
        """SIGTERM, and SIGKILL after the container's stop timeout."""
        self._checker.close()
        self.state = "STOPPING"
        self._kill_at = now + self.definition.stop_timeout_s
        self.process.terminate()

    def describe(self, service: Service) -> dict[str, Any]:
        """As ecs:DescribeTasks tells it."""
        stopping = not self.is_active
        container = {
            "name": self.definition.container_name,
            "lastStatus": "STOPPED" if self.state == "STOPPED" else "RUNNING",
            "healthStatus": self.health,
            "runtimeId": f"{self.id}-{self.process.pid}",
        }
        described = {
            "taskArn": f"{service.cluster_arn.replace(':cluster/', ':task/')}/{self.id}",
            "clusterArn": service.cluster_arn,
            "group": f"service:{service.name}",
            "taskDefinitionArn": self.definition.arn,
            "lastStatus": self.state,
            "desiredStatus": "STOPPED" if stopping else "RUNNING",
            "healthStatus": self.health,
            "launchType": "FARGATE",
            "cpu": str(self.definition.cpu),
            "memory": str(self.definition.memory_mib),
            "createdAt": self.created_at.timestamp(),
            "containers": [container],
        }
        return described | ({"stoppedReason": self.stopped_reason} if self.stopped_reason else {})

    def _end(self, how: str) -> None:
        self._checker.close()
        self.process.kill()  # what it may have left in its session
        self.state = "STOPPED"
        self.stopped_reason = f"{self.stopped_reason}; {how}" if self.stopped_reason else how


def start(machine: Machine, definition: TaskDefinition, now: float) -> tuple[Task, Callable[[], None]]:
    """Starts a task; the second value releases what it holds beside its process.

    Raises SecretUnavailableError, RoleNotTrustedError, or botocore's ClientError.
    """
    identifier = secrets.token_hex(16)
    execution = assume_for_task(machine.aws, definition.execution_role_arn, identifier)
    as_execution_role = LocalAws(machine.aws.endpoint_url, machine.aws.region, execution.credentials)
    values = resolve_secrets(definition, as_execution_role)
    address = machine.credentials.add(
        lambda: assume_for_task(machine.aws, definition.task_role_arn, identifier)
    )
    port = free_port()
    environment = task_environment(definition, values, port, machine.aws, address, machine.trust_store)
    log_path = machine.logs / f"task-{identifier[:8]}.log"
    process = machine.table.start(
        f"task-{identifier[:8]}", on_this_machine(definition.command), environment, machine.root, log_path
    )
    check_log = machine.logs / "health-checks.log"
    checker = HealthChecker(definition.health_check, machine.table, environment, machine.root, check_log, now)
    shipper = None
    if definition.log_group:
        stream = f"{definition.log_stream_prefix}/{definition.container_name}/{identifier}"
        shipper = LogShipper(log_path, as_execution_role, definition.log_group, stream)
    task = Task(identifier, definition, port, process, checker, shipper, now)
    return task, lambda: machine.credentials.remove(address)
