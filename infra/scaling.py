"""Autoscaling: as many tasks as requests, CPU and open requests ask for, within the stack's bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import pulumi
import pulumi_aws as aws
from pulumi_aws.appautoscaling import (
    PolicyTargetTrackingScalingPolicyConfigurationArgsDict as Tracking,
)

from infra.schedule import Floor, fewest_at

SCALE_OUT_COOLDOWN_S = 60
SCALE_IN_COOLDOWN_S = 300

# What the gateway itself reports (app/metrics.py); a test holds the two together.
METRIC_NAMESPACE = "Gateway"
IN_FLIGHT_METRIC = "InFlightRequests"


@dataclass(frozen=True)
class ScalingArgs:
    """requests_per_target: a minute, per task. cpu_percent: of what the tasks have reserved.
    in_flight_per_task: requests that a task works on at once. metric_service: whom the gateway reports as.
    floors: hours with more tasks than min_tasks at least, in `timezone` (IANA name)."""

    cluster_name: pulumi.Input[str]
    service_name: pulumi.Input[str]
    balancer_arn_suffix: pulumi.Input[str]
    target_group_arn_suffix: pulumi.Input[str]
    min_tasks: int
    max_tasks: int
    requests_per_target: int
    cpu_percent: int
    in_flight_per_task: int
    metric_service: str
    floors: Sequence[Floor]
    timezone: str


class Scaling(pulumi.ComponentResource):
    """Three target-tracking policies, out when any asks for more, in when all allow less; and the floors."""

    def __init__(self, name: str, args: ScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Scaling", name, None, opts)
        self._target = aws.appautoscaling.Target(
            name,
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", args.cluster_name, "/", args.service_name),
            # As the floors have it at this moment: an `up` at noon must neither end one nor wait for its end.
            min_capacity=fewest_at(datetime.now(ZoneInfo(args.timezone)), args.floors, args.min_tasks),
            max_capacity=args.max_tasks,
            opts=pulumi.ResourceOptions(parent=self),
        )
        label = pulumi.Output.concat(args.balancer_arn_suffix, "/", args.target_group_arn_suffix)
        requests: Tracking = {
            "predefined_metric_specification": {
                "predefined_metric_type": "ALBRequestCountPerTarget",
                "resource_label": label,
            },
            "target_value": float(args.requests_per_target),
        }
        cpu: Tracking = {
            "predefined_metric_specification": {"predefined_metric_type": "ECSServiceAverageCPUUtilization"},
            "target_value": float(args.cpu_percent),
        }
        in_flight: Tracking = {
            # Each task reports its own, so the average is that of one task.
            "customized_metric_specification": {
                "namespace": METRIC_NAMESPACE,
                "metric_name": IN_FLIGHT_METRIC,
                "dimensions": [{"name": "Service", "value": args.metric_service}],
                "statistic": "Average",
                "unit": "Count",
            },
            "target_value": float(args.in_flight_per_task),
        }
        for suffix, goal in (("requests", requests), ("cpu", cpu), ("in-flight", in_flight)):
            self._track(f"{name}-{suffix}", goal)
        for floor in args.floors:
            self._schedule(f"{name}-{floor.name}-begins", floor.starts, floor.tasks, args)
            self._schedule(f"{name}-{floor.name}-ends", floor.ends, args.min_tasks, args)
        self.register_outputs({})

    def _track(self, name: str, goal: Tracking) -> None:
        aws.appautoscaling.Policy(
            name,
            policy_type="TargetTrackingScaling",
            service_namespace=self._target.service_namespace,
            scalable_dimension=self._target.scalable_dimension,
            resource_id=self._target.resource_id,
            target_tracking_scaling_policy_configuration={
                **goal,
                "scale_out_cooldown": SCALE_OUT_COOLDOWN_S,
                "scale_in_cooldown": SCALE_IN_COOLDOWN_S,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _schedule(self, name: str, schedule: str, fewest: int, args: ScalingArgs) -> None:
        aws.appautoscaling.ScheduledAction(
            name,
            service_namespace=self._target.service_namespace,
            scalable_dimension=self._target.scalable_dimension,
            resource_id=self._target.resource_id,
            schedule=schedule,
            timezone=args.timezone,
            scalable_target_action={"min_capacity": fewest, "max_capacity": args.max_tasks},
            opts=pulumi.ResourceOptions(parent=self),
        )
