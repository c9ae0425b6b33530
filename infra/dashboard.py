"""One CloudWatch dashboard: the way of a request from the balancer to the table, top to bottom."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

WIDGET_WIDTH = 8
WIDGET_HEIGHT = 6
PER_ROW = 24 // WIDGET_WIDTH


@dataclass(frozen=True)
class DashboardArgs:
    """cache_nodes: how many members the replication group has."""

    dashboard_name: str
    region: str
    balancer_arn_suffix: pulumi.Input[str]
    target_group_arn_suffix: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    replication_group_id: pulumi.Input[str]
    cache_nodes: int
    table_name: pulumi.Input[str]
    log_group: pulumi.Input[str]


class Dashboard(pulumi.ComponentResource):
    """The dashboard and its address in the AWS console."""

    url: str

    def __init__(self, name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Dashboard", name, None, opts)
        body = pulumi.Output.all(
            balancer=args.balancer_arn_suffix,
            targets=args.target_group_arn_suffix,
            cluster=args.cluster_name,
            service=args.service_name,
            cache=args.replication_group_id,
            table=args.table_name,
            log_group=args.log_group,
        ).apply(lambda names: dashboard_body(args.region, args.cache_nodes, names))
        aws.cloudwatch.Dashboard(
            name,
            dashboard_name=args.dashboard_name,
            dashboard_body=body,
            opts=pulumi.ResourceOptions(parent=self),
        )
        console = f"https://{args.region}.console.aws.amazon.com/cloudwatch/home?region={args.region}"
        self.url = f"{console}#dashboards/dashboard/{args.dashboard_name}"
        self.register_outputs({"url": self.url})


def dashboard_body(region: str, cache_nodes: int, names: Mapping[str, str]) -> str:
    """The dashboard's JSON (CloudWatch API reference, "Dashboard body structure and syntax").

    names: balancer, targets (ARN suffixes), cluster, service, cache (replication group id), table, log_group.
    """
    balancer = {"LoadBalancer": names["balancer"]}
    targets = {**balancer, "TargetGroup": names["targets"]}
    service = {"ClusterName": names["cluster"], "ServiceName": names["service"]}
    nodes = [{"CacheClusterId": f"{names['cache']}-{number:03}"} for number in range(1, cache_nodes + 1)]
    table = {"TableName": names["table"]}
    charts = [
        ("Requests", "Sum", [("AWS/ApplicationELB", "RequestCount", balancer)]),
        (
            "Answers by class",
            "Sum",
            [
                ("AWS/ApplicationELB", f"HTTPCode_Target_{code}_Count", targets)
                for code in ("2XX", "4XX", "5XX")
            ]
            + [("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", balancer)],
        ),
        ("Time to the first byte, p99", "p99", [("AWS/ApplicationELB", "TargetResponseTime", targets)]),
        (
            "Targets",
            "Average",
            [("AWS/ApplicationELB", f"{state}HostCount", targets) for state in ("Healthy", "UnHealthy")],
        ),
        ("Requests per task", "Sum", [("AWS/ApplicationELB", "RequestCountPerTarget", targets)]),
        (
            "Tasks' CPU and memory, percent",
            "Average",
            [("AWS/ECS", f"{what}Utilization", service) for what in ("CPU", "Memory")],
        ),
        (
            "Cache memory, percent",
            "Maximum",
            [("AWS/ElastiCache", "DatabaseMemoryUsagePercentage", node) for node in nodes],
        ),
        (
            "Cache CPU, percent",
            "Maximum",
            [("AWS/ElastiCache", "EngineCPUUtilization", node) for node in nodes],
        ),
        ("Cache evictions", "Sum", [("AWS/ElastiCache", "Evictions", node) for node in nodes]),
        (
            "Table capacity used",
            "Sum",
            [("AWS/DynamoDB", f"Consumed{way}CapacityUnits", table) for way in ("Read", "Write")],
        ),
        (
            "Table throttles",
            "Sum",
            [("AWS/DynamoDB", f"{way}ThrottleEvents", table) for way in ("Read", "Write")],
        ),
    ]
    widgets = [_chart(region, index, *chart) for index, chart in enumerate(charts)]
    widgets.append(_errors(region, len(charts), names["log_group"]))
    return json.dumps({"widgets": widgets}, sort_keys=True, separators=(",", ":"))


def _place(index: int) -> dict[str, Any]:
    return {
        "x": index % PER_ROW * WIDGET_WIDTH,
        "y": index // PER_ROW * WIDGET_HEIGHT,
        "width": WIDGET_WIDTH,
        "height": WIDGET_HEIGHT,
    }


def _chart(
    region: str, index: int, title: str, statistic: str, metrics: Sequence[tuple[str, str, Mapping[str, str]]]
) -> dict[str, Any]:
    lines = [
        [namespace, metric, *(text for dimension in sorted(dimensions.items()) for text in dimension)]
        for namespace, metric, dimensions in metrics
    ]
    properties = {
        "title": title,
        "view": "timeSeries",
        "region": region,
        "stat": statistic,
        "period": 60,
        "metrics": lines,
    }
    return {"type": "metric", **_place(index), "properties": properties}


def _errors(region: str, index: int, log_group: str) -> dict[str, Any]:
    steps = ("fields @timestamp, @message", "filter status >= 500", "sort @timestamp desc", "limit 50")
    query = " | ".join([f"SOURCE '{log_group}'", *steps])
    properties = {"title": "Last failed requests", "view": "table", "region": region, "query": query}
    return {"type": "log", **_place(index), "properties": properties}
