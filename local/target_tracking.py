"""How many tasks a service should have: target tracking as Application Auto Scaling documents it.

docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html: any policy
may scale out, all must agree to scale in, and a scale-out waits for no scale-in's cooldown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SCALE_IN_BELOW = 0.9
"""The share of the target below which the low alarm of a policy goes off."""


@dataclass(frozen=True)
class TrackingPolicy:
    """One target-tracking policy. metric: the predefined metric's type."""

    name: str
    metric: str
    target_value: float
    scale_out_cooldown_s: float
    scale_in_cooldown_s: float
    scale_in_disabled: bool = False


@dataclass(frozen=True)
class Bounds:
    """The fewest and the most tasks."""

    minimum: int
    maximum: int

    def clamp(self, count: int) -> int:
        return max(self.minimum, min(self.maximum, count))


@dataclass(frozen=True)
class LastActivity:
    """When the service was last scaled, in seconds of the caller's clock; minus infinity for never."""

    scaled_out_at: float = -math.inf
    scaled_in_at: float = -math.inf


def desired_count(
    current: int,
    bounds: Bounds,
    measured: Sequence[tuple[TrackingPolicy, float | None]],
    last: LastActivity,
    now: float,
) -> int:
    """The count that the policies want, within the bounds.

    measured: each policy with its metric's value, or None where there is none, which never scales in.
    """
    if bounds.clamp(current) != current:
        return bounds.clamp(current)
    wanted = [_wanted(current, policy, value) for policy, value in measured]
    growing = [
        count
        for count, (policy, _) in zip(wanted, measured, strict=True)
        if count > current and now - last.scaled_out_at >= policy.scale_out_cooldown_s
    ]
    if growing:
        return bounds.clamp(max(growing))
    if not wanted or max(wanted) >= current:
        return current
    last_activity = max(last.scaled_out_at, last.scaled_in_at)
    if any(now - last_activity < policy.scale_in_cooldown_s for policy, _ in measured):
        return current
    return bounds.clamp(max(wanted))


def _wanted(current: int, policy: TrackingPolicy, value: float | None) -> int:
    """The count at which the metric would meet its target, if it is off it."""
    if value is None:
        return current
    if value > policy.target_value:
        return math.ceil(current * value / policy.target_value)
    if value < SCALE_IN_BELOW * policy.target_value and not policy.scale_in_disabled:
        return max(1, math.ceil(current * value / policy.target_value))
    return current
