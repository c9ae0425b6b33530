"""What people are told of, by the alert topic: alarms from the load balancer down to the table.

Two components, because two of the alarms also decide about deployments: those stand before the service, which
names them, and all others after what they watch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

MINUTE_S = 60
FIVE_MINUTES_S = 300

FEWEST_REQUESTS = 20
"""Below this many requests a minute a share of failures says nothing: one of two is no outage."""

FAILED_PERCENT = 5


@dataclass(frozen=True)
class Metric:
    """One series. statistic: CloudWatch's name of a statistic, or a percentile such as p99."""

    namespace: str
    name: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: str


@dataclass(frozen=True)
class Alarm:
    """One alarm. description: what it means and what to look at first; people read it in an e-mail.

    metrics: several need `expression`, which speaks of them as m0, m1 and so on (CloudWatch metric math).
    periods: how many of period_s must be beyond the threshold, out of as many (or `out_of`).
    missing: what no data means; most metrics are only written while something happens.
    """

    name: str
    description: str
    metrics: Sequence[Metric]
    threshold: float
    expression: str | None = None
    comparison: str = "GreaterThanThreshold"
    period_s: int = MINUTE_S
    periods: int = 3
    out_of: int | None = None
    missing: str = "notBreaching"
    label: str = field(default="")


@dataclass(frozen=True)
class AlarmsArgs:
    """name_prefix: names of alarms start with it. topic_arn: who is told.
    after: what must be there first, so that CloudWatch may publish and nothing goes off by its lack."""

    name_prefix: str
    topic_arn: pulumi.Input[str]
    after: Sequence[pulumi.Resource]
    alarms: Sequence[Alarm]


class Alarms(pulumi.ComponentResource):
    """CloudWatch alarms that tell the topic when they go off and when all is well again."""

    names: list[pulumi.Output[str]]

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Alarms", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        self.names = [_metric_alarm(alarm, args, child).name for alarm in args.alarms]
        self.register_outputs({})


def _metric_alarm(alarm: Alarm, args: AlarmsArgs, opts: pulumi.ResourceOptions) -> aws.cloudwatch.MetricAlarm:
    """Always as metric queries, a plain metric too: one form to write, read and compare."""
    series = [
        aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id=f"m{number}",
            metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace=metric.namespace,
                metric_name=metric.name,
                dimensions=dict(metric.dimensions),
                period=alarm.period_s,
                stat=metric.statistic,
            ),
            return_data=alarm.expression is None,
        )
        for number, metric in enumerate(alarm.metrics)
    ]
    if alarm.expression is not None:
        series.append(
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id="watched", expression=alarm.expression, label=alarm.label or alarm.name, return_data=True
            )
        )
    return aws.cloudwatch.MetricAlarm(
        alarm.name,
        name=f"{args.name_prefix}-{alarm.name}",
        alarm_description=alarm.description,
        metric_queries=series,
        comparison_operator=alarm.comparison,
        threshold=float(alarm.threshold),
        evaluation_periods=alarm.out_of or alarm.periods,
        datapoints_to_alarm=alarm.periods,
        treat_missing_data=alarm.missing,
        actions_enabled=True,
        alarm_actions=[args.topic_arn],
        ok_actions=[args.topic_arn],
        opts=opts,
    )


def deployment_alarms(balancer: pulumi.Input[str], slow_answer_s: int) -> list[Alarm]:
    """What rolls a deployment back while it goes on: failures and slowness that clients see.

    balancer: the load balancer's ARN suffix. slow_answer_s: what the slowest hundredth may take until the
    first byte. Silence is no failure: without requests both are OK, so neither holds up a first deployment.
    """
    of_balancer = {"LoadBalancer": balancer}
    return [
        Alarm(
            "failed-requests",
            f"More than {FAILED_PERCENT} % of requests fail with 5xx. "
            "Look at the dashboard's 'Last failed requests', then at OpenAI's status.",
            [
                Metric("AWS/ApplicationELB", "RequestCount", of_balancer, "Sum"),
                Metric("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", of_balancer, "Sum"),
                Metric("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", of_balancer, "Sum"),
            ],
            FAILED_PERCENT,
            f"IF(FILL(m0, 0) >= {FEWEST_REQUESTS}, 100 * (FILL(m1, 0) + FILL(m2, 0)) / m0, 0)",
            label="Failed requests, percent",
        ),
        Alarm(
            "slow-answers",
            f"One request in a hundred waits more than {slow_answer_s} s for its first byte. "
            "Look at OpenAI's latency and the tasks' CPU on the dashboard.",
            [Metric("AWS/ApplicationELB", "TargetResponseTime", of_balancer, "p99")],
            slow_answer_s,
            periods=5,
        ),
    ]


@dataclass(frozen=True)
class Watched:
    """What the other alarms look at. *_arn_suffix: as CloudWatch names balancers and target groups.
    cache_nodes: members of the replication group. certificate_arn: None without a domain."""

    balancer_arn_suffix: pulumi.Input[str]
    target_group_arn_suffix: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    replication_group_id: pulumi.Input[str]
    cache_nodes: int
    table_name: pulumi.Input[str]
    dead_letters_name: pulumi.Input[str]
    nat_gateway_ids: Sequence[pulumi.Input[str]]
    certificate_arn: pulumi.Input[str] | None
    stopped_tasks: Metric


def service_alarms(watched: Watched) -> list[Alarm]:
    """Everything that people are told of and that rolls nothing back."""
    parts = (_front, _tasks, _cache, _table, _knowledge, _ways_out)
    return [alarm for part in parts for alarm in part(watched)]


def _front(watched: Watched) -> list[Alarm]:
    balancer = {"LoadBalancer": watched.balancer_arn_suffix}
    targets = {**balancer, "TargetGroup": watched.target_group_arn_suffix}
    alarms = [
        Alarm(
            "no-healthy-task",
            "No task is healthy behind the load balancer: every request fails. "
            "Look at the service's events in ECS, then at the tasks' log.",
            [Metric("AWS/ApplicationELB", "HealthyHostCount", targets, "Maximum")],
            1,
            comparison="LessThanThreshold",
            missing="breaching",
        ),
        Alarm(
            "unhealthy-tasks",
            "A task fails the load balancer's health check for minutes without being replaced. "
            "Look at the service's events in ECS.",
            [Metric("AWS/ApplicationELB", "UnHealthyHostCount", targets, "Minimum")],
            0,
            periods=5,
        ),
        Alarm(
            "refused-connections",
            "The load balancer refuses connections because it has reached its own limit. "
            "Ask AWS Support for more load balancer capacity.",
            [Metric("AWS/ApplicationELB", "RejectedConnectionCount", balancer, "Sum")],
            0,
            periods=1,
        ),
    ]
    if watched.certificate_arn is not None:
        alarms.append(
            Alarm(
                "certificate-expires",
                "The certificate ends in less than 30 days and ACM did not renew it. "
                "Look whether its validation record still stands in the hosted zone.",
                [
                    Metric(
                        "AWS/CertificateManager",
                        "DaysToExpiry",
                        {"CertificateArn": watched.certificate_arn},
                        "Minimum",
                    )
                ],
                30,
                comparison="LessThanThreshold",
                # ACM writes it twice a day (ACM user guide, "Supported CloudWatch metrics").
                period_s=86_400,
                periods=1,
            )
        )
    return alarms


def _tasks(watched: Watched) -> list[Alarm]:
    service = {"ClusterName": watched.cluster_name, "ServiceName": watched.service_name}
    return [
        Alarm(
            "task-restarts",
            "Tasks end by themselves, three or more in five minutes. "
            "Their reasons stand in the log group of stopped tasks (saved query 'Stopped tasks').",
            [watched.stopped_tasks],
            3,
            comparison="GreaterThanOrEqualToThreshold",
            period_s=FIVE_MINUTES_S,
            periods=1,
        ),
        Alarm(
            "task-memory",
            "Tasks use more than 90 % of their memory and may soon be killed. Raise task_memory_mib.",
            [Metric("AWS/ECS", "MemoryUtilization", service, "Maximum")],
            90,
            periods=5,
        ),
        Alarm(
            "task-cpu",
            "Tasks use more than 90 % of their CPU on average although the service may scale. "
            "Raise max_tasks, or task_cpu.",
            [Metric("AWS/ECS", "CPUUtilization", service, "Average")],
            90,
            periods=10,
        ),
    ]


def _cache(watched: Watched) -> list[Alarm]:
    nodes = [
        {"CacheClusterId": pulumi.Output.concat(watched.replication_group_id, f"-{number:03}")}
        for number in range(1, watched.cache_nodes + 1)
    ]

    def of_nodes(metric: str, statistic: str) -> list[Metric]:
        return [Metric("AWS/ElastiCache", metric, node, statistic) for node in nodes]

    return [
        Alarm(
            "cache-memory",
            "The cache uses more than 80 % of its memory. Choose a larger cache_node_type, or a shorter "
            "response_cache_ttl_s; when it is full, limits and usage can no longer be written.",
            of_nodes("DatabaseMemoryUsagePercentage", "Maximum"),
            80,
            "MAX(METRICS())",
            periods=5,
        ),
        Alarm(
            "cache-evictions",
            "The cache drops answers before they expire, for lack of memory. "
            "Choose a larger cache_node_type.",
            of_nodes("Evictions", "Sum"),
            0,
            "SUM(METRICS())",
            period_s=FIVE_MINUTES_S,
            periods=3,
        ),
        Alarm(
            "cache-cpu",
            "The cache's engine uses more than 80 % of its core: limits get slow. Choose a larger "
            "cache_node_type.",
            of_nodes("EngineCPUUtilization", "Maximum"),
            80,
            "MAX(METRICS())",
            periods=5,
        ),
        Alarm(
            "cache-failover",
            "Another node of the cache became the primary. Requests went on; look at the ElastiCache events "
            "for the reason.",
            of_nodes("IsMaster", "Maximum"),
            0,
            # A node's role is 1 or 0; only its change is news.
            " + ".join(f"ABS(DIFF(m{number}))" for number in range(watched.cache_nodes)),
            periods=1,
        ),
    ]


def _table(watched: Watched) -> list[Alarm]:
    table = {"TableName": watched.table_name}
    return [
        Alarm(
            "table-throttles",
            "DynamoDB turns requests of the gateway's table away. An on-demand table throttles when traffic "
            "doubles within half an hour, or when one key gets too much of it.",
            [Metric("AWS/DynamoDB", f"{way}ThrottleEvents", table, "Sum") for way in ("Read", "Write")],
            0,
            "SUM(METRICS())",
        )
    ]


def _knowledge(watched: Watched) -> list[Alarm]:
    queue = {"QueueName": watched.dead_letters_name}
    return [
        Alarm(
            "knowledge-not-taken",
            "New knowledge was not taken notice of, so answers from the cache may be out of date. Look for "
            "knowledge_waits in the tasks' log, then move the dead letters back to their queue.",
            [Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, "Maximum")],
            0,
            period_s=FIVE_MINUTES_S,
            periods=1,
        )
    ]


def _ways_out(watched: Watched) -> list[Alarm]:
    """To one destination a NAT gateway has 55,000 connections; OpenAI's API is one destination."""
    if not watched.nat_gateway_ids:
        return []
    return [
        Alarm(
            "nat-ports",
            "A NAT gateway has no port left for another connection to OpenAI. Set nat_gateways to per-zone.",
            [
                Metric("AWS/NATGateway", "ErrorPortAllocation", {"NatGatewayId": gateway}, "Sum")
                for gateway in watched.nat_gateway_ids
            ],
            0,
            "SUM(METRICS())",
            periods=1,
        )
    ]
