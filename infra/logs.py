"""The stack's log groups: each with the stack's key and a retention, made before anything writes to it."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class LogNames:
    """Names of the log groups; known before the key, whose policy lists them.
    sessions: what people do inside tasks; None where nobody may enter them."""

    gateway: str
    flow_logs: str
    stopped_tasks: str
    firewall: str
    container_insights: str
    sessions: str | None = None

    @classmethod
    def of(cls, name_prefix: str, execute_command: bool = False) -> "LogNames":
        return cls(
            gateway=f"/{name_prefix}/gateway",
            flow_logs=f"/{name_prefix}/flow-logs",
            stopped_tasks=f"/aws/events/{name_prefix}/stopped-tasks",
            # WAF writes to no group whose name begins otherwise (AWS WAF developer guide, "CloudWatch Logs").
            firewall=f"aws-waf-logs-{name_prefix}",
            # The name is ECS's choice: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-reference-performance-logs-ECS.html
            container_insights=f"/aws/ecs/containerinsights/{name_prefix}/performance",
            sessions=f"/{name_prefix}/sessions" if execute_command else None,
        )

    def all(self) -> tuple[str, ...]:
        always = (self.gateway, self.flow_logs, self.stopped_tasks, self.firewall, self.container_insights)
        return always if self.sessions is None else (*always, self.sessions)


@dataclass(frozen=True)
class LogsArgs:
    """container_insights: whether the cluster reports them; ECS would make that group without a retention."""

    names: LogNames
    key_arn: pulumi.Input[str]
    retention_days: int
    container_insights: bool


class Logs(pulumi.ComponentResource):
    """The log groups of the gateway, the network's flow logs, stopped tasks, the firewall and, where there
    are any, Container Insights and sessions inside tasks."""

    gateway: aws.cloudwatch.LogGroup
    flow_logs: aws.cloudwatch.LogGroup
    stopped_tasks: aws.cloudwatch.LogGroup
    firewall: aws.cloudwatch.LogGroup
    container_insights: aws.cloudwatch.LogGroup | None
    sessions: aws.cloudwatch.LogGroup | None

    def __init__(self, name: str, args: LogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Logs", name, None, opts)

        def group(suffix: str, group_name: str) -> aws.cloudwatch.LogGroup:
            return aws.cloudwatch.LogGroup(
                f"{name}-{suffix}",
                name=group_name,
                kms_key_id=args.key_arn,
                retention_in_days=args.retention_days,
                opts=pulumi.ResourceOptions(parent=self),
            )

        self.gateway = group("gateway", args.names.gateway)
        self.flow_logs = group("flow-logs", args.names.flow_logs)
        self.stopped_tasks = group("stopped-tasks", args.names.stopped_tasks)
        self.firewall = group("firewall", args.names.firewall)
        self.container_insights = None
        if args.container_insights:
            self.container_insights = group("container-insights", args.names.container_insights)
        self.sessions = None
        if args.names.sessions is not None:
            self.sessions = group("sessions", args.names.sessions)
        self.register_outputs({"gateway": self.gateway.name, "flow_logs": self.flow_logs.name})
