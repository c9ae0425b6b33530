"""Keeps the service's tasks as deployed: as many as desired, of the current definition, registered, healthy.

One `step` looks at everything once and never waits, so the caller decides how often.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from botocore.exceptions import ClientError

from local.balancer.deployed import Target
from local.ecs.deployed import Service, TaskDefinition, deployed_service, task_definition
from local.ecs.environment import SecretUnavailableError
from local.ecs.roles import RoleNotTrustedError
from local.ecs.task import Machine, Task, start

LOGS_EVERY_S = 1.0
LONGEST_PAUSE_S = 30.0
STOPPED_TASKS_KEPT = 20


class TargetWatch(Protocol):
    """What the agent asks the load balancer."""

    def has_left(self, target_group_arn: str, target: Target) -> bool: ...

    def is_healthy(self, target_group_arn: str, target: Target) -> bool | None: ...


class EcsAgent:
    """Runs one service."""

    def __init__(
        self, machine: Machine, targets: TargetWatch, clock: Callable[[], float] = time.monotonic,
        cluster_name: str | None = None,
    ) -> None:  # fmt: skip
        """cluster_name: where the service is; None looks in all clusters."""
        self._cluster_name = cluster_name
        self._machine = machine
        self._targets = targets
        self._clock = clock
        self._definitions: dict[str, TaskDefinition] = {}
        self._releases: dict[str, Callable[[], None]] = {}
        self._registered: set[str] = set()
        self._next_start_at = 0.0
        self._next_logs_at = 0.0
        self.service: Service | None = None
        self.tasks: list[Task] = []
        self.failed_starts = 0
        self.last_failure: str | None = None

    @property
    def active(self) -> list[Task]:
        return [task for task in self.tasks if task.is_active]

    @property
    def is_settled(self) -> bool:
        """Whether as many tasks as desired run, all current and registered, and none is leaving."""
        service = self.service
        if service is None:
            return False
        running = [
            t for t in self.tasks if t.state == "RUNNING" and t.definition.arn == service.task_definition_arn
        ]
        return len(running) == service.desired_count == len([t for t in self.tasks if t.state != "STOPPED"])

    def step(self) -> None:
        """Takes one look at what is deployed and what runs, and does what is due."""
        now = self._clock()
        self.service = service = deployed_service(self._machine.aws, self._cluster_name)
        if service is None:
            return
        for task in self.tasks:
            self._step_task(task, service, now)
        self._drop_stopped()
        self._scale(service, self._definition(service.task_definition_arn), now)
        if now >= self._next_logs_at:
            self._next_logs_at = now + LOGS_EVERY_S
            self.ship_logs()

    def ship_logs(self) -> None:
        for task in self.tasks:
            task.ship_logs()

    def observed(self) -> tuple[dict[str, dict[str, int]], list[dict[str, Any]]]:
        """Counts and tasks as local AWS is to tell them; see `local.aws.exchange.observed`."""
        if self.service is None:
            return {}, []
        running = sum(task.state == "RUNNING" for task in self.tasks)
        pending = sum(task.state == "PENDING" for task in self.tasks)
        counts = {self.service.arn: {"running": running, "pending": pending}}
        return counts, [task.describe(self.service) for task in self.tasks]

    def _step_task(self, task: Task, service: Service, now: float) -> None:
        before = task.state
        task.step(now)
        if before == "PENDING" and task.state == "RUNNING":
            self._register(task, service)
        if task.state == "STOPPED" and before != "STOPPED":
            self._ended(task, before, now)
            self._deregister(task, service)
        if task.state == "RUNNING" and (reason := self._unfit(task, service, now)):
            self.last_failure = f"task {task.id[:8]}: {reason}"
            self._retire(task, service, reason)
        if task.state == "PENDING" and now - task.started_at > max(service.grace_period_s, 30):
            self._count_failure(
                task, f"did not listen on its port within {int(now - task.started_at)} s", now
            )
            task.terminate(now)
        if task.state == "DEACTIVATING" and self._has_left(task, service):
            task.terminate(now)

    def _unfit(self, task: Task, service: Service, now: float) -> str | None:
        """Why ECS would replace a running task, if it would."""
        if task.health == "UNHEALTHY":
            return "failed container health checks"
        if service.target_group_arn is None or now - task.started_at <= service.grace_period_s:
            return None
        if self._targets.is_healthy(service.target_group_arn, task.target) is False:
            return "failed ELB health checks"
        return None

    def _scale(self, service: Service, definition: TaskDefinition, now: float) -> None:
        current = [task for task in self.active if task.definition.arn == definition.arn]
        outdated = [task for task in self.active if task.definition.arn != definition.arn]
        if len(current) < service.desired_count and now >= self._next_start_at:
            for _ in range(service.desired_count - len(current)):
                if not self._start(definition, now):
                    return
        # The newest go first: the oldest have the warmest connections.
        for task in current[service.desired_count :]:
            self._retire(task, service, "scaling activity")
        running = sum(task.state == "RUNNING" for task in current)
        for task in outdated if running >= service.desired_count else []:
            self._retire(task, service, "deployment of a new task definition")

    def _start(self, definition: TaskDefinition, now: float) -> bool:
        try:
            task, release = start(self._machine, definition, now)
        except (SecretUnavailableError, RoleNotTrustedError, ClientError) as error:
            self.last_failure = f"task not started: {error}"
            self._pause(now)
            return False
        self.tasks.append(task)
        self._releases[task.id] = release
        return True

    def _retire(self, task: Task, service: Service, reason: str) -> None:
        task.deactivate(reason)
        self._deregister(task, service)

    def _register(self, task: Task, service: Service) -> None:
        if service.target_group_arn:
            self._call_targets("register_targets", task, service.target_group_arn)
            self._registered.add(task.id)

    def _deregister(self, task: Task, service: Service) -> None:
        if service.target_group_arn and task.id in self._registered:
            self._registered.discard(task.id)
            self._call_targets("deregister_targets", task, service.target_group_arn)

    def _call_targets(self, operation: str, task: Task, target_group_arn: str) -> None:
        target = {"Id": task.target.host, "Port": task.target.port}
        self._machine.aws.call("elbv2", operation, TargetGroupArn=target_group_arn, Targets=[target])

    def _has_left(self, task: Task, service: Service) -> bool:
        if service.target_group_arn is None:
            return True
        return self._targets.has_left(service.target_group_arn, task.target)

    def _ended(self, task: Task, before: str, now: float) -> None:
        self._releases.pop(task.id, lambda: None)()
        self._machine.table.forget(task.process)
        task.ship_logs()
        if before in ("PENDING", "RUNNING"):
            self._count_failure(task, str(task.stopped_reason), now)

    def _count_failure(self, task: Task, reason: str, now: float) -> None:
        """A task that ends by itself; ones that never were healthy make the next start wait longer."""
        self.last_failure = f"task {task.id[:8]} {reason}; see {task.process.log_path}"
        if task.was_healthy:
            self.failed_starts = 0
        else:
            self._pause(now)

    def _pause(self, now: float) -> None:
        self.failed_starts += 1
        self._next_start_at = now + min(2.0 ** (self.failed_starts - 1), LONGEST_PAUSE_S)

    def _drop_stopped(self) -> None:
        stopped = [task for task in self.tasks if task.state == "STOPPED"]
        for task in stopped[:-STOPPED_TASKS_KEPT]:
            self.tasks.remove(task)

    def _definition(self, arn: str) -> TaskDefinition:
        if arn not in self._definitions:
            self._definitions[arn] = task_definition(self._machine.aws, arn)
        return self._definitions[arn]
