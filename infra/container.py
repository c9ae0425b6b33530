"""The gateway's container definition, rendered the one way ECS gives it back.

ECS stores container definitions as it likes: it fills in defaults and orders lists. What is sent in that
form already compares equal, so that a second `pulumi up` changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.execute_command import mount_points

CONTAINER_NAME = "gateway"
CONTAINER_PORT = 8080
USER = "10001:10001"
OPEN_FILES = 65_535
LOG_BUFFER = "25m"


@dataclass(frozen=True)
class Container:
    """environment: name -> value, in plain sight. secrets: name -> ARN that ECS resolves at the start.
    stop_timeout_s: from SIGTERM to SIGKILL. execute_command: whether people may run commands inside."""

    image: str
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    region: str
    log_group: str
    stop_timeout_s: int
    execute_command: bool = False


def container_definitions(container: Container) -> str:
    """The JSON text of the task's one container; equal containers give equal text."""
    return json.dumps([_definition(container)], sort_keys=True, separators=(",", ":"))


def _definition(container: Container) -> dict[str, Any]:
    return {
        "name": CONTAINER_NAME,
        "image": container.image,
        "command": ["python", "-m", "app"],
        "cpu": 0,
        "essential": True,
        "user": USER,
        "readonlyRootFilesystem": True,
        # Fargate takes a `drop` (and of what may be added only SYS_PTRACE); init reaps and passes on signals.
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        "portMappings": [{"containerPort": CONTAINER_PORT, "hostPort": CONTAINER_PORT, "protocol": "tcp"}],
        "environment": [{"name": k, "value": v} for k, v in sorted(container.environment.items())],
        "secrets": [{"name": k, "valueFrom": v} for k, v in sorted(container.secrets.items())],
        "healthCheck": {
            "command": ["CMD", "python", "-m", "app.healthcheck"],
            "interval": 10,
            "timeout": 5,
            "retries": 3,
            "startPeriod": 20,
        },
        "stopTimeout": container.stop_timeout_s,
        "ulimits": [{"name": "nofile", "softLimit": OPEN_FILES, "hardLimit": OPEN_FILES}],
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": container.log_group,
                "awslogs-region": container.region,
                "awslogs-stream-prefix": CONTAINER_NAME,
                "max-buffer-size": LOG_BUFFER,
                # When CloudWatch cannot be reached, lines are lost rather than requests held up.
                "mode": "non-blocking",
            },
        },
        "mountPoints": mount_points() if container.execute_command else [],
        "systemControls": [],
        "volumesFrom": [],
    }
