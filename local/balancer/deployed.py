"""What is deployed of a load balancer, read from local AWS: listeners, rules, target groups, attributes."""

from dataclasses import dataclass, field
from typing import Any

from local.aws.client import LocalAws

DEFAULT_IDLE_TIMEOUT_S = 60
"""An ALB's own (user guide, load balancer attributes); moto does not tell it."""


@dataclass(frozen=True, order=True)
class Target:
    """Where a task answers."""

    host: str
    port: int


@dataclass(frozen=True)
class Rule:
    """Conditions that must all hold, and what is then done; both as ELBv2 describes them."""

    conditions: tuple[dict[str, Any], ...]
    action: dict[str, Any]

    @property
    def target_group_arns(self) -> list[str]:
        """Where the action forwards to, if it does."""
        weighted = [
            group["TargetGroupArn"] for group in self.action.get("ForwardConfig", {}).get("TargetGroups", [])
        ]
        single = self.action.get("TargetGroupArn")
        return weighted or ([single] if single else [])


@dataclass(frozen=True)
class Listener:
    """port: the deployed one. rules: in the order of their priority, the default rule last."""

    port: int
    protocol: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class HealthCheck:
    """How targets are checked. matcher: status codes as ELBv2 writes them (`200`, `200-299,301`)."""

    path: str
    interval_s: int
    timeout_s: int
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str


@dataclass(frozen=True)
class TargetGroup:
    """attributes: all of the group's, as text."""

    arn: str
    name: str
    health_check: HealthCheck
    attributes: dict[str, str] = field(hash=False)

    @property
    def deregistration_delay_s(self) -> int:
        return int(self.attributes["deregistration_delay.timeout_seconds"])

    @property
    def least_outstanding_requests(self) -> bool:
        return self.attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"


@dataclass(frozen=True)
class DeployedBalancer:
    """An application load balancer. idle_timeout_s: of its connections."""

    arn: str
    idle_timeout_s: int
    listeners: tuple[Listener, ...]
    target_groups: tuple[TargetGroup, ...]


def deployed_balancer(aws: LocalAws, name: str | None = None) -> DeployedBalancer | None:
    """The load balancer of that name, or the first; None if the program deploys none."""
    found = aws.call("elbv2", "describe_load_balancers")["LoadBalancers"]
    balancers = [balancer for balancer in found if name in (None, balancer["LoadBalancerName"])]
    if not balancers:
        return None
    arn = balancers[0]["LoadBalancerArn"]
    attributes = _attributes(aws, "describe_load_balancer_attributes", LoadBalancerArn=arn)
    listeners = aws.call("elbv2", "describe_listeners", LoadBalancerArn=arn)["Listeners"]
    served = tuple(_listener(aws, listener) for listener in listeners)
    groups = sorted({arn for listener in served for rule in listener.rules for arn in rule.target_group_arns})
    found_groups = (
        aws.call("elbv2", "describe_target_groups", TargetGroupArns=groups)["TargetGroups"] if groups else []
    )
    return DeployedBalancer(
        arn=arn,
        idle_timeout_s=int(attributes.get("idle_timeout.timeout_seconds", DEFAULT_IDLE_TIMEOUT_S)),
        listeners=served,
        target_groups=tuple(_target_group(aws, group) for group in found_groups),
    )


def registered_targets(aws: LocalAws, target_group_arn: str) -> set[Target]:
    """The targets that are registered, without those that are leaving."""
    described = aws.call("elbv2", "describe_target_health", TargetGroupArn=target_group_arn)
    return {
        Target(item["Target"]["Id"], item["Target"]["Port"])
        for item in described["TargetHealthDescriptions"]
        if item["TargetHealth"]["State"] != "draining"
    }


def _listener(aws: LocalAws, listener: dict[str, Any]) -> Listener:
    rules = aws.call("elbv2", "describe_rules", ListenerArn=listener["ListenerArn"])["Rules"]
    rules.sort(
        key=lambda rule: (
            rule["Priority"] == "default",
            int(rule["Priority"]) if rule["Priority"].isdigit() else 0,
        )
    )
    return Listener(
        port=listener["Port"],
        protocol=listener["Protocol"],
        rules=tuple(Rule(tuple(rule["Conditions"]), rule["Actions"][-1]) for rule in rules),
    )


def _target_group(aws: LocalAws, group: dict[str, Any]) -> TargetGroup:
    arn = group["TargetGroupArn"]
    return TargetGroup(
        arn=arn,
        name=group["TargetGroupName"],
        health_check=HealthCheck(
            path=group["HealthCheckPath"],
            interval_s=int(group["HealthCheckIntervalSeconds"]),
            timeout_s=int(group["HealthCheckTimeoutSeconds"]),
            healthy_threshold=int(group["HealthyThresholdCount"]),
            unhealthy_threshold=int(group["UnhealthyThresholdCount"]),
            matcher=group["Matcher"]["HttpCode"],
        ),
        attributes=_attributes(aws, "describe_target_group_attributes", TargetGroupArn=arn),
    )


def _attributes(aws: LocalAws, operation: str, **of: str) -> dict[str, str]:
    return {item["Key"]: item["Value"] for item in aws.call("elbv2", operation, **of)["Attributes"]}
