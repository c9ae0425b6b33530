"""Asks ECS what became of a deployment: `pulumi up` must not succeed when ECS rolled the change back.

ECS takes a new task definition at once and decides minutes later; the provider has long said "updated" by
then. `judge` decides from one look, `verify` looks until there is a decision or no patience left.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
STARTING_S = 900
"""What a deployment may take beside the draining of the tasks it replaces."""

TOLD_EVENTS = 3
TOLD_TASKS = 100


class Ecs(Protocol):
    """The calls of a boto3 ECS client that are made here."""

    def describe_services(self, *, cluster: str, services: list[str]) -> Any: ...

    def list_tasks(self, *, cluster: str, serviceName: str, desiredStatus: Any) -> Any: ...  # noqa: N803

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> Any: ...


@dataclass(frozen=True)
class Expected:
    """What should run. log_group: where a person reads on."""

    cluster: str
    service: str
    task_definition_arn: str
    log_group: str


@dataclass(frozen=True)
class Verdict:
    """What one look at the service says. told: one line for people."""

    state: Literal["steady", "waiting", "failed"]
    told: str


class DeploymentError(Exception):
    """The service does not run what was deployed: what runs, ECS's reasons, and where to read on."""


def judge(service: Mapping[str, Any] | None, task_definition_arn: str) -> Verdict:
    """The verdict on `service` (as ecs:DescribeServices gives it) that should run `task_definition_arn`."""
    if service is None or service["status"] != "ACTIVE":
        return Verdict("failed", f"the service is {'gone' if service is None else service['status']}")
    wanted = short(task_definition_arn)
    deployments: list[Mapping[str, Any]] = service["deployments"]
    current = next(d for d in deployments if d["status"] == "PRIMARY")
    if short(current["taskDefinition"]) != wanted:
        failed = [d for d in deployments if short(d["taskDefinition"]) == wanted]
        reason = next((str(d["rolloutStateReason"]) for d in failed if d.get("rolloutStateReason")), "")
        runs = f"the deployment of {wanted} was rolled back, {short(current['taskDefinition'])} runs instead"
        return Verdict("failed", f"{runs}: {reason}" if reason else runs)
    state = current.get("rolloutState", "COMPLETED")
    count = f"{current['runningCount']} of {current['desiredCount']} tasks of {wanted} run"
    if state == "FAILED":
        reason = current.get("rolloutStateReason", "ECS gives no reason")
        return Verdict("failed", f"the deployment of {wanted} failed, {count}: {reason}")
    if state == "COMPLETED":
        return Verdict("steady", f"{count}, the deployment is complete")
    return Verdict("waiting", f"{count}, the deployment is in progress")


def patience_s(deregistration_delay_s: int, stop_timeout_s: int) -> int:
    """How long a deployment may take: its start, and the draining of what it replaces."""
    return STARTING_S + deregistration_delay_s + stop_timeout_s


def verify(
    ecs: Ecs,
    expected: Expected,
    longest_s: float,
    tell: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Wait until the service runs what was deployed; return the last line told.

    tell: is given each line that differs from the one before.
    Raises DeploymentError when ECS rolled back, gave up, or is not done after longest_s.
    """
    deadline = clock() + longest_s
    pause_s, last = FIRST_PAUSE_S, ""
    while True:
        service = _service(ecs, expected)
        verdict = judge(service, expected.task_definition_arn)
        if verdict.state == "steady":
            return verdict.told
        if verdict.state == "failed":
            raise DeploymentError(_report(ecs, expected, service, verdict.told))
        if verdict.told != last:
            last = verdict.told
            tell(last)
        if clock() >= deadline:
            waited = f"after {longest_s:.0f} s {verdict.told}; ECS goes on trying"
            raise DeploymentError(_report(ecs, expected, service, waited))
        sleep(min(pause_s, max(0.0, deadline - clock())))
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def short(task_definition_arn: str) -> str:
    """`family:revision` of an ARN, or of what already is that."""
    return task_definition_arn.rpartition("/")[2]


def _service(ecs: Ecs, expected: Expected) -> Mapping[str, Any] | None:
    found = ecs.describe_services(cluster=expected.cluster, services=[expected.service])["services"]
    return found[0] if found else None


def _report(ecs: Ecs, expected: Expected, service: Mapping[str, Any] | None, verdict: str) -> str:
    events = [f"  {event['message']}" for event in (service or {}).get("events", [])[:TOLD_EVENTS]]
    stopped = [f"  {line}" for line in _stopped(ecs, expected)]
    lines = [verdict[0].upper() + verdict[1:]]
    if stopped:
        lines += ["Its tasks stopped:", *stopped]
    if events:
        lines += ["ECS says last:", *events]
    lines.append(f"Read on: aws logs tail {expected.log_group} --since 30m")
    return "\n".join(lines)


def _stopped(ecs: Ecs, expected: Expected) -> list[str]:
    """Reasons for which tasks of the deployment stopped, each with how often."""
    arns = ecs.list_tasks(
        cluster=expected.cluster, serviceName=expected.service, desiredStatus="STOPPED"
    )["taskArns"][:TOLD_TASKS]  # fmt: skip
    if not arns:
        return []
    tasks = ecs.describe_tasks(cluster=expected.cluster, tasks=arns)["tasks"]
    wanted = short(expected.task_definition_arn)
    reasons = Counter(
        _reason(task) for task in tasks if short(task.get("taskDefinitionArn", wanted)) == wanted
    )
    return [f"{count} x {reason}" for reason, count in reasons.most_common()]


def _reason(task: Mapping[str, Any]) -> str:
    parts = [str(task.get("stoppedReason") or "no reason given")]
    for container in task.get("containers", []):
        if container.get("exitCode") is not None:
            parts.append(f"{container.get('name', 'container')} exited with {container['exitCode']}")
        if container.get("reason"):
            parts.append(str(container["reason"]))
    return ", ".join(parts)
