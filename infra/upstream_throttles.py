"""How often OpenAI turns requests away, counted in the gateway's own log: no metric of AWS's knows it."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.alarms import Metric

NAMESPACE = "Gateway/Upstream"
PATTERN = '{ $.event = "request" && $.upstream_status = 429 }'
"""Requests whose last attempt was refused for its rate; one that was answered after another attempt is none
(CloudWatch Logs user guide, "Filter pattern syntax")."""


@dataclass(frozen=True)
class UpstreamThrottlesArgs:
    """metric_name: the stack's own, so that stacks of one account and region are counted apart."""

    log_group_name: pulumi.Input[str]
    metric_name: str


class UpstreamThrottles(pulumi.ComponentResource):
    """The count of requests that came back as 429 from OpenAI."""

    metric: Metric

    def __init__(
        self, name: str, args: UpstreamThrottlesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gateway:infra:UpstreamThrottles", name, None, opts)
        aws.cloudwatch.LogMetricFilter(
            name,
            log_group_name=args.log_group_name,
            pattern=PATTERN,
            metric_transformation={
                "namespace": NAMESPACE,
                "name": args.metric_name,
                "value": "1",
                "unit": "Count",
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.metric = Metric(NAMESPACE, args.metric_name, {}, "Sum")
        self.register_outputs({})
