"""Scheduled actions and policies on a metric of the app, as local AWS keeps them and the autoscaler reads."""

from typing import Any

from local.autoscaler import deployed_scaling
from local.aws.client import LocalAws
from local.provider.registry import Created, ResourceRequest, resource_handler

NAMESPACE = "application-autoscaling"


def create(aws: LocalAws, token: str, logical: str, /, **inputs: Any) -> Created:
    return resource_handler(token)(ResourceRequest(aws, token, logical, inputs, {}))


def test_floors_and_custom_metrics_are_kept(aws: LocalAws, unique: str) -> None:
    aws.call("ecs", "create_cluster", clusterName=unique)
    container = {"name": "c", "image": "i", "memory": 64}
    aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
    aws.call("ecs", "create_service", cluster=unique, serviceName="s", taskDefinition=unique, desiredCount=1)
    resource_id = f"service/{unique}/s"
    of = {
        "serviceNamespace": "ecs",
        "resourceId": resource_id,
        "scalableDimension": "ecs:service:DesiredCount",
    }
    create(aws, "aws:appautoscaling/target:Target", unique, **of, minCapacity=1, maxCapacity=9)
    metric = {
        "namespace": "Gateway", "metricName": "InFlightRequests", "statistic": "Average",
        "dimensions": [{"name": "Service", "value": unique}],
    }  # fmt: skip
    create(
        aws, "aws:appautoscaling/policy:Policy", unique, **of, policyType="TargetTrackingScaling",
        targetTrackingScalingPolicyConfiguration={
            "customizedMetricSpecification": metric, "targetValue": 200, "scaleInCooldown": 300,
        },
    )  # fmt: skip
    create(
        aws, "aws:appautoscaling/scheduledAction:ScheduledAction", unique, **of,
        schedule="cron(0 8 ? * MON-FRI *)", timezone="America/New_York",
        scalableTargetAction={"minCapacity": 6, "maxCapacity": 9},
    )  # fmt: skip
    [action] = aws.call(
        NAMESPACE, "describe_scheduled_actions", ServiceNamespace="ecs", ResourceId=resource_id
    )["ScheduledActions"]
    assert action["ScalableTargetAction"] == {"MinCapacity": 6, "MaxCapacity": 9}
    assert (action["Schedule"], action["Timezone"]) == ("cron(0 8 ? * MON-FRI *)", "America/New_York")
    _, [policy] = deployed_scaling(aws, resource_id)
    assert (policy.metric, policy.target_value) == ("InFlightRequests", 200)
