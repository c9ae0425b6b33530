"""What is deployed of a service: its task definition and where its targets register, read from local AWS."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.aws.client import LocalAws

DEFAULT_STOP_TIMEOUT_S = 30
"""What ECS waits between SIGTERM and SIGKILL where the container says nothing."""


class UnsupportedTaskError(Exception):
    """The deployed task uses what the local agent does not run."""


@dataclass(frozen=True)
class ContainerHealthCheck:
    """command: as ECS has it, starting with CMD or CMD-SHELL. The rest: seconds and a count."""

    command: tuple[str, ...]
    interval_s: int
    timeout_s: int
    retries: int
    start_period_s: int


@dataclass(frozen=True)
class TaskDefinition:
    """One container and its roles. secrets: name -> where ECS takes the value; cpu: units of 1/1024 CPU."""

    arn: str
    task_role_arn: str
    execution_role_arn: str
    cpu: int
    memory_mib: int
    container_name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(hash=False)
    secrets: Mapping[str, str] = field(hash=False)
    health_check: ContainerHealthCheck | None
    stop_timeout_s: int
    log_group: str | None
    log_stream_prefix: str

    @property
    def family_and_revision(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True)
class Service:
    """A service as it is to run."""

    arn: str
    name: str
    cluster_arn: str
    desired_count: int
    task_definition_arn: str
    target_group_arn: str | None
    grace_period_s: int


def deployed_service(aws: LocalAws, cluster_name: str | None = None) -> Service | None:
    """The service of that cluster, or of any; None if the program deploys none."""
    clusters = aws.call("ecs", "list_clusters")["clusterArns"]
    for cluster_arn in [arn for arn in clusters if cluster_name in (None, arn.rpartition("/")[2])]:
        arns = aws.call("ecs", "list_services", cluster=cluster_arn)["serviceArns"]
        if arns:
            found = aws.call("ecs", "describe_services", cluster=cluster_arn, services=arns[:1])["services"][
                0
            ]
            balancers = found.get("loadBalancers", [])
            return Service(
                arn=found["serviceArn"],
                name=found["serviceName"],
                cluster_arn=cluster_arn,
                desired_count=found["desiredCount"],
                task_definition_arn=found["taskDefinition"],
                target_group_arn=balancers[0]["targetGroupArn"] if balancers else None,
                grace_period_s=found.get("healthCheckGracePeriodSeconds", 0),
            )
    return None


def task_definition(aws: LocalAws, arn: str) -> TaskDefinition:
    """Raises UnsupportedTaskError for a task of several containers, or one whose command is in its image."""
    found = aws.call("ecs", "describe_task_definition", taskDefinition=arn)["taskDefinition"]
    containers: list[dict[str, Any]] = found["containerDefinitions"]
    if len(containers) != 1:
        raise UnsupportedTaskError(f"{arn} has {len(containers)} containers; the local agent runs one")
    container = containers[0]
    command = (*container.get("entryPoint", []), *container.get("command", []))
    if not command:
        raise UnsupportedTaskError(f"container {container['name']} sets no command; images are not run here")
    logs = container.get("logConfiguration", {}).get("options", {})
    return TaskDefinition(
        arn=found["taskDefinitionArn"],
        task_role_arn=found["taskRoleArn"],
        execution_role_arn=found["executionRoleArn"],
        cpu=int(found["cpu"]),
        memory_mib=int(found["memory"]),
        container_name=container["name"],
        command=command,
        environment={item["name"]: item["value"] for item in container.get("environment", [])},
        secrets={item["name"]: item["valueFrom"] for item in container.get("secrets", [])},
        health_check=_health_check(container.get("healthCheck")),
        stop_timeout_s=container.get("stopTimeout", DEFAULT_STOP_TIMEOUT_S),
        log_group=logs.get("awslogs-group"),
        log_stream_prefix=logs.get("awslogs-stream-prefix", "ecs"),
    )


def _health_check(block: dict[str, Any] | None) -> ContainerHealthCheck | None:
    if not block:
        return None
    return ContainerHealthCheck(
        command=tuple(block["command"]),
        interval_s=block.get("interval", 30),
        timeout_s=block.get("timeout", 5),
        retries=block.get("retries", 3),
        start_period_s=block.get("startPeriod", 0),
    )
