"""Application Auto Scaling: what may be scaled, and by which target."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:appautoscaling/target:Target")
def target(request: ResourceRequest) -> Created:
    answer = request.call(
        "application-autoscaling", "register_scalable_target",
        **_dimension(request), MinCapacity=request["minCapacity"], MaxCapacity=request["maxCapacity"],
        RoleARN=request.get("roleArn"), Tags=request.tags or None,
    )  # fmt: skip
    return Created(request["resourceId"], {"arn": answer["ScalableTargetARN"]})


@resource("aws:appautoscaling/policy:Policy")
def policy(request: ResourceRequest) -> Created:
    name = request.physical_name()
    tracking = request.get("targetTrackingScalingPolicyConfiguration")
    answer = request.call(
        "application-autoscaling", "put_scaling_policy",
        **_dimension(request), PolicyName=name, PolicyType=request.get("policyType"),
        TargetTrackingScalingPolicyConfiguration=tracking and _tracking(tracking),
    )  # fmt: skip
    return Created(name, {"name": name, "arn": answer["PolicyARN"], "alarmArns": []})


@resource("aws:appautoscaling/scheduledAction:ScheduledAction")
def scheduled_action(request: ResourceRequest) -> Created:
    """moto keeps it; nothing on this machine acts at the time it names."""
    name = request.physical_name()
    bounds = request["scalableTargetAction"]
    request.call(
        "application-autoscaling", "put_scheduled_action",
        **_dimension(request), ScheduledActionName=name, Schedule=request["schedule"],
        Timezone=request.get("timezone"),
        ScalableTargetAction={
            "MinCapacity": int(bounds["minCapacity"]), "MaxCapacity": int(bounds["maxCapacity"])
        },
    )  # fmt: skip
    return Created(name, {"name": name})


def _dimension(request: ResourceRequest) -> dict[str, str]:
    return {
        "ServiceNamespace": request["serviceNamespace"],
        "ResourceId": request["resourceId"],
        "ScalableDimension": request["scalableDimension"],
    }


def _tracking(block: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"TargetValue": float(block["targetValue"])}
    for key in ("scaleInCooldown", "scaleOutCooldown", "disableScaleIn"):
        if block.get(key) is not None:
            made[key[0].upper() + key[1:]] = block[key]
    if metric := block.get("predefinedMetricSpecification"):
        made["PredefinedMetricSpecification"] = _capitalized(
            {
                "predefinedMetricType": metric["predefinedMetricType"],
                "resourceLabel": metric.get("resourceLabel"),
            }
        )
    if metric := block.get("customizedMetricSpecification"):
        dimensions = [{"Name": d["name"], "Value": d["value"]} for d in metric.get("dimensions") or []]
        plain = {key: metric.get(key) for key in ("metricName", "namespace", "statistic", "unit")}
        made["CustomizedMetricSpecification"] = {**_capitalized(plain), "Dimensions": dimensions}
    return made


def _capitalized(block: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: value for key, value in block.items() if value is not None}
