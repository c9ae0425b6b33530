"""Autoscaling: as many tasks as requests and CPU ask for, within the stack's bounds."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_aws.appautoscaling import (
    PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgsDict as PredefinedMetric,
)

SCALE_OUT_COOLDOWN_S = 60
SCALE_IN_COOLDOWN_S = 300


@dataclass(frozen=True)
class ScalingArgs:
    """requests_per_target: a minute, per task. cpu_percent: of what the tasks have reserved."""

    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    balancer_arn_suffix: pulumi.Input[str]
    target_group_arn_suffix: pulumi.Input[str]
    min_tasks: int
    max_tasks: int
    requests_per_target: int
    cpu_percent: int


class Scaling(pulumi.ComponentResource):
    """Two target-tracking policies; out when either asks for more, in when both allow less."""

    def __init__(self, name: str, args: ScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Scaling", name, None, opts)
        self._target = aws.appautoscaling.Target(
            name,
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", args.cluster_name, "/", args.service_name),
            min_capacity=args.min_tasks,
            max_capacity=args.max_tasks,
            opts=pulumi.ResourceOptions(parent=self),
        )
        label = pulumi.Output.concat(args.balancer_arn_suffix, "/", args.target_group_arn_suffix)
        self._track(
            f"{name}-requests",
            {"predefined_metric_type": "ALBRequestCountPerTarget", "resource_label": label},
            args.requests_per_target,
        )
        self._track(
            f"{name}-cpu", {"predefined_metric_type": "ECSServiceAverageCPUUtilization"}, args.cpu_percent
        )
        self.register_outputs({})

    def _track(
        self,
        name: str,
        metric: PredefinedMetric,
        goal: int,
    ) -> None:
        aws.appautoscaling.Policy(
            name,
            policy_type="TargetTrackingScaling",
            service_namespace=self._target.service_namespace,
            scalable_dimension=self._target.scalable_dimension,
            resource_id=self._target.resource_id,
            target_tracking_scaling_policy_configuration={
                "predefined_metric_specification": metric,
                "target_value": float(goal),
                "scale_out_cooldown": SCALE_OUT_COOLDOWN_S,
                "scale_in_cooldown": SCALE_IN_COOLDOWN_S,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
