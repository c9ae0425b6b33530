"""What the parts of a local stack say of a request: read from them, never assumed."""

import json
import ssl
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from local.aws.client import LocalAws

LOG_LINE_S = 10


class NoEvidenceError(Exception):
    """A part does not show what it should; the message says which part and what was expected."""


@dataclass(frozen=True)
class Target:
    """A task as the load balancer sees it."""

    address: str
    state: str


class Evidence:
    """A running stack, looked at as its operator would: over boto3, and by the stand-in's own count."""

    def __init__(self, stack: dict[str, Any]) -> None:
        """stack: what `python -m local up --json` printed."""
        self.base_url: str = stack["gateway"]["base_url"]
        self.ca_file: str | None = stack["gateway"]["ca_file"]
        self._stand_in: str = stack["stand_in"]["base_url"].removesuffix("/v1")
        self._aws = LocalAws(stack["aws"]["endpoint_url"], stack["aws"]["region"])
        self.service = self._service()
        self.task_definition = self._aws.call(
            "ecs", "describe_task_definition", taskDefinition=self.service["taskDefinition"]
        )["taskDefinition"]
        self.container = self.task_definition["containerDefinitions"][0]
        self.environment = {entry["name"]: entry["value"] for entry in self.container["environment"]}

    @property
    def aws(self) -> LocalAws:
        """Local AWS, with the operator's rights."""
        return self._aws

    def _service(self) -> dict[str, Any]:
        cluster = self._aws.call("ecs", "list_clusters")["clusterArns"][0]
        service = self._aws.call("ecs", "list_services", cluster=cluster)["serviceArns"][0]
        found: dict[str, Any] = self._aws.call(
            "ecs", "describe_services", cluster=cluster, services=[service]
        )
        return dict(found["services"][0])

    def trust(self) -> ssl.SSLContext | bool:
        """What a client checks the stack's certificate with."""
        return ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True

    def targets(self) -> list[Target]:
        """The tasks registered with the load balancer."""
        group = self.service["loadBalancers"][0]["targetGroupArn"]
        found = self._aws.call("elbv2", "describe_target_health", TargetGroupArn=group)
        return [
            Target(f"{t['Target']['Id']}:{t['Target']['Port']}", t["TargetHealth"]["State"])
            for t in found["TargetHealthDescriptions"]
        ]

    def upstream_calls(self, endpoint: str = "chat/completions") -> int:
        """How many calls of an endpoint the stand-in was asked for."""
        with urllib.request.urlopen(f"{self._stand_in}/stand-in/calls", timeout=5) as answer:  # noqa: S310
            calls: dict[str, Any] = json.load(answer)
        count: int = calls["endpoints"].get(f"POST /v1/{endpoint}", 0)
        return count

    def secret_name(self, variable: str) -> str:
        """The name of the secret whose ARN the container got in `variable`."""
        found = self._aws.call("secretsmanager", "describe_secret", SecretId=self.environment[variable])
        return str(found["Name"])

    def secret_value(self, arn: str) -> str:
        """A secret's value."""
        found = self._aws.call("secretsmanager", "get_secret_value", SecretId=arn)
        return str(found["SecretString"])

    def log_line(self, request_id: str) -> tuple[str, dict[str, Any]]:
        """The id of the task that answered a request, and what it logged of it.

        Raises NoEvidenceError when CloudWatch Logs has no such line after ten seconds.
        """
        group = self.container["logConfiguration"]["options"]["awslogs-group"]
        deadline = time.monotonic() + LOG_LINE_S
        while time.monotonic() < deadline:
            found = self._aws.call("logs", "filter_log_events", logGroupName=group, filterPattern=request_id)
            for event in found["events"]:
                line = json.loads(event["message"])
                if line.get("request_id") == request_id:
                    return event["logStreamName"].rpartition("/")[2], line
            time.sleep(0.05)
        raise NoEvidenceError(f"CloudWatch Logs: no line of request {request_id} in {group}")
