"""Scales the service by the deployed target-tracking policies, on what is measured on this machine.

Metrics cover the last half minute instead of AWS's three one-minute periods out and fifteen in, so that
scaling can be watched; cooldowns are as deployed. Only the desired count is set; the ECS agent follows it.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psutil

from local.aws.client import LocalAws
from local.ecs.deployed import Service
from local.target_tracking import Bounds, LastActivity, TrackingPolicy, desired_count

WINDOW_S = 30.0
EVERY_S = 5.0
REQUESTS_PER_TARGET = "ALBRequestCountPerTarget"
CPU_UTILIZATION = "ECSServiceAverageCPUUtilization"
IN_FLIGHT = "InFlightRequests"


@dataclass(frozen=True)
class Sample:
    """Counters at one time. requests: served by all targets so far; cpu_s: used by all tasks so far.
    in_flight: what all targets work on at that time."""

    at: float
    requests: int
    cpu_s: float
    targets: int
    cpu_units: int
    in_flight: int = 0


@dataclass(frozen=True)
class Scaling:
    """What was decided last, for people to read."""

    desired_count: int
    metrics: dict[str, float]
    activity: str | None


class Autoscaler:
    """Evaluates the policies of one service."""

    def __init__(self, aws: LocalAws, clock: Callable[[], float] = time.monotonic) -> None:
        self._aws = aws
        self._clock = clock
        self._samples: deque[Sample] = deque()
        self._last = LastActivity()
        self._next_at = 0.0
        self.scaling: Scaling | None = None

    def observe(self, requests: int, cpu_s: float, targets: int, cpu_units: int, in_flight: int = 0) -> None:
        """Takes a sample of the counters."""
        now = self._clock()
        self._samples.append(Sample(now, requests, cpu_s, targets, cpu_units, in_flight))
        while len(self._samples) > 2 and now - self._samples[1].at >= WINDOW_S:
            self._samples.popleft()

    def step(self, service: Service) -> None:
        """Evaluates the policies when it is time, and sets the desired count they want."""
        now = self._clock()
        if now < self._next_at:
            return
        self._next_at = now + EVERY_S
        resource_id = f"service/{service.cluster_arn.rpartition('/')[2]}/{service.name}"
        bounds, policies = deployed_scaling(self._aws, resource_id)
        if bounds is None:
            return
        metrics = measured(list(self._samples))
        values = [(policy, metrics.get(policy.metric)) for policy in policies]
        wanted = desired_count(service.desired_count, bounds, values, self._last, now)
        activity = self.scaling.activity if self.scaling else None
        if wanted != service.desired_count:
            activity = f"{service.desired_count} -> {wanted} tasks"
            self._scale(service, wanted, now)
        self.scaling = Scaling(wanted, metrics, activity)

    def _scale(self, service: Service, wanted: int, now: float) -> None:
        self._aws.call(
            "ecs", "update_service", cluster=service.cluster_arn, service=service.name, desiredCount=wanted
        )
        if wanted > service.desired_count:
            self._last = replace(self._last, scaled_out_at=now)
        else:
            self._last = replace(self._last, scaled_in_at=now)


def measured(samples: Sequence[Sample]) -> dict[str, float]:
    """Metric -> value over the samples' time; nothing while that is shorter than half the window.

    Requests are per target and minute, open requests per target, CPU is percent of what the tasks reserve.
    """
    if len(samples) < 2 or samples[-1].at - samples[0].at < WINDOW_S / 2:
        return {}
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    metrics = {}
    if last.targets:
        metrics[REQUESTS_PER_TARGET] = (last.requests - first.requests) / seconds * 60 / last.targets
        metrics[IN_FLIGHT] = sum(sample.in_flight for sample in samples) / len(samples) / last.targets
    if last.cpu_units:
        # The time of tasks that ended is gone from the sum, which must not read as less than none.
        used_s = max(0.0, last.cpu_s - first.cpu_s)
        metrics[CPU_UTILIZATION] = used_s / seconds / (last.cpu_units / 1024) * 100
    return metrics


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that processes and their children have used."""
    total = 0.0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            for member in [process, *process.children(recursive=True)]:
                times = member.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


def deployed_scaling(aws: LocalAws, resource_id: str) -> tuple[Bounds | None, list[TrackingPolicy]]:
    """The bounds and target-tracking policies of a service, from local AWS."""
    namespace = "application-autoscaling"
    targets = aws.call(
        namespace, "describe_scalable_targets", ServiceNamespace="ecs", ResourceIds=[resource_id]
    )["ScalableTargets"]
    if not targets:
        return None, []
    found = aws.call(namespace, "describe_scaling_policies", ServiceNamespace="ecs", ResourceId=resource_id)[
        "ScalingPolicies"
    ]
    policies = []
    for policy in found:
        block = policy.get("TargetTrackingScalingPolicyConfiguration")
        if not block:
            continue
        predefined = block.get("PredefinedMetricSpecification", {})
        customized = block.get("CustomizedMetricSpecification", {})
        policies.append(
            TrackingPolicy(
                name=policy["PolicyName"],
                metric=predefined.get("PredefinedMetricType") or customized.get("MetricName", ""),
                target_value=float(block["TargetValue"]),
                scale_out_cooldown_s=float(block.get("ScaleOutCooldown", 300)),
                scale_in_cooldown_s=float(block.get("ScaleInCooldown", 300)),
                scale_in_disabled=bool(block.get("DisableScaleIn", False)),
            )
        )
    return Bounds(targets[0]["MinCapacity"], targets[0]["MaxCapacity"]), policies
