import os
import time
from typing import Any

import pytest

from local.autoscaler import (
    CPU_UTILIZATION,
    IN_FLIGHT,
    REQUESTS_PER_TARGET,
    WINDOW_S,
    Autoscaler,
    Sample,
    cpu_seconds,
    measured,
)
from local.aws.client import LocalAws
from local.ecs.deployed import Service, deployed_service

NAMESPACE = "application-autoscaling"


def sample(
    at: float, requests: int = 0, cpu_s: float = 0.0, targets: int = 1, cpu_units: int = 1024
) -> Sample:
    return Sample(at, requests, cpu_s, targets, cpu_units)


def test_requests_are_per_target_and_minute() -> None:
    assert measured([sample(0, 100, targets=2), sample(30, 400, targets=2)])[REQUESTS_PER_TARGET] == 300


def test_cpu_is_percent_of_what_the_tasks_reserve() -> None:
    assert measured([sample(0), sample(30, cpu_s=7.5, cpu_units=512)])[CPU_UTILIZATION] == 50


def test_open_requests_are_the_average_of_a_target() -> None:
    looks = [Sample(at, 0, 0.0, 2, 1024, in_flight) for at, in_flight in ((0, 300), (15, 500), (30, 400))]
    assert measured(looks)[IN_FLIGHT] == 200


def test_a_short_time_says_nothing() -> None:
    assert measured([sample(0), sample(WINDOW_S / 2 - 1, 1000)]) == {}
    assert measured([]) == {}


def test_tasks_that_ended_never_read_as_negative_load() -> None:
    assert measured([sample(0, cpu_s=9), sample(30, cpu_s=1)])[CPU_UTILIZATION] == 0


def test_a_process_that_is_gone_has_used_nothing() -> None:
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    assert cpu_seconds([os.getpid()]) > 0
    assert cpu_seconds([2**22 + 1]) == 0


@pytest.fixture
def service(aws: LocalAws, unique: str) -> Service:
    aws.call("ecs", "create_cluster", clusterName=unique)
    container = {"name": "c", "image": "i", "memory": 64}
    aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
    aws.call("ecs", "create_service", cluster=unique, serviceName="s", taskDefinition=unique, desiredCount=1)
    of = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{unique}/s",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    aws.call(NAMESPACE, "register_scalable_target", **of, MinCapacity=1, MaxCapacity=4)
    tracking: dict[str, Any] = {
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": REQUESTS_PER_TARGET,
            "ResourceLabel": "app/a/b/c",
        },
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
    }
    aws.call(
        NAMESPACE, "put_scaling_policy", **of, PolicyName="p", PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )  # fmt: skip
    found = deployed_service(aws, unique)
    assert found is not None
    return found


@pytest.mark.usefixtures("service")
def test_load_raises_the_desired_count_and_its_end_lowers_it_after_the_cooldown(
    aws: LocalAws, unique: str
) -> None:
    clock, served = [0.0], 0
    autoscaler = Autoscaler(aws, lambda: clock[0])

    def desired() -> int:
        found = deployed_service(aws, unique)
        assert found is not None
        autoscaler.step(found)
        after = deployed_service(aws, unique)
        assert after is not None
        return after.desired_count

    def pass_time(seconds: int, requests_per_s: int) -> int:
        nonlocal served
        for _ in range(seconds):
            clock[0] += 1
            served += requests_per_s
            autoscaler.observe(served, 0.0, 1, 1024)
        return desired()

    assert pass_time(30, requests_per_s=5) == 3
    assert autoscaler.scaling is not None
    assert autoscaler.scaling.activity == "1 -> 3 tasks"
    assert pass_time(60, requests_per_s=0) == 3
    assert pass_time(240, requests_per_s=0) == 1


def test_a_service_that_is_not_scaled_is_left_alone(aws: LocalAws, unique: str) -> None:
    aws.call("ecs", "create_cluster", clusterName=unique)
    container = {"name": "c", "image": "i", "memory": 64}
    aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
    aws.call("ecs", "create_service", cluster=unique, serviceName="s", taskDefinition=unique, desiredCount=7)
    found = deployed_service(aws, unique)
    assert found is not None
    Autoscaler(aws).step(found)
    after = deployed_service(aws, unique)
    assert after is not None
    assert after.desired_count == 7
