"""Why tasks ended: ECS forgets it in an hour, so EventBridge writes it into a log group that counts it."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.alarms import Metric
from infra.iam import document

NAMESPACE = "Gateway/Tasks"
ENDED_BY_THEMSELVES = ("EssentialContainerExited", "TaskFailedToStart")
"""Stop codes of tasks that nobody asked to end (ECS API, Task.stopCode)."""


@dataclass(frozen=True)
class StoppedTasksArgs:
    """metric_name: the stack's own, so that stacks of one account and region are counted apart."""

    cluster_arn: pulumi.Input[str]
    log_group_name: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    metric_name: str


class StoppedTasks(pulumi.ComponentResource):
    """ECS's events of stopped tasks and failed deployments, kept, and the count of those that broke."""

    metric: Metric

    def __init__(self, name: str, args: StoppedTasksArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:StoppedTasks", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            name,
            description="Tasks of the gateway that stopped, with the reason",
            event_pattern=pulumi.Output.json_dumps(
                {
                    "source": ["aws.ecs"],
                    "detail-type": ["ECS Task State Change"],
                    "detail": {"clusterArn": [args.cluster_arn], "lastStatus": ["STOPPED"]},
                },
                sort_keys=True,
            ),
            opts=child,
        )
        writing = aws.cloudwatch.LogResourcePolicy(
            name,
            policy_name=args.metric_name,
            policy_document=_may_write(args, rule.arn),
            opts=child,
        )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=args.log_group_arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[writing]),
        )
        aws.cloudwatch.LogMetricFilter(
            name,
            log_group_name=args.log_group_name,
            pattern=pattern(),
            metric_transformation={
                "namespace": NAMESPACE,
                "name": args.metric_name,
                "value": "1",
                "unit": "Count",
            },
            opts=child,
        )
        self.metric = Metric(NAMESPACE, args.metric_name, {}, "Sum")
        self.register_outputs({})


def pattern() -> str:
    """The filter of events that count (CloudWatch Logs user guide, "Filter pattern syntax")."""
    tests = " || ".join(f"$.detail.stopCode = {json.dumps(code)}" for code in ENDED_BY_THEMSELVES)
    return f"{{ {tests} }}"


def _may_write(args: StoppedTasksArgs, rule_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Streams are made for no rule in particular, so only what goes into them names it (EventBridge user
    guide, "CloudWatch Logs permissions")."""
    services = {"Service": ["delivery.logs.amazonaws.com", "events.amazonaws.com"]}
    return document(
        {
            "Sid": "StreamsForEvents",
            "Effect": "Allow",
            "Principal": services,
            "Action": "logs:CreateLogStream",
            "Resource": pulumi.Output.concat(args.log_group_arn, ":*"),
        },
        {
            "Sid": "EventsOfThisRule",
            "Effect": "Allow",
            "Principal": services,
            "Action": "logs:PutLogEvents",
            # The last part stands for the group's streams, which EventBridge names.
            "Resource": pulumi.Output.concat(args.log_group_arn, ":*:*"),
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        },
    )
