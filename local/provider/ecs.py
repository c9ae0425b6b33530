"""ECS clusters, task definitions and services."""

import json
from typing import Any

from local.provider.registry import Created, InvokeRequest, ResourceRequest, function, resource


@resource("aws:ecs/cluster:Cluster")
def cluster(request: ResourceRequest) -> Created:
    name = request.physical_name()
    settings = [{"name": s["name"], "value": s["value"]} for s in request.get("settings", [])]
    created = request.call(
        "ecs", "create_cluster",
        clusterName=name, settings=settings or None, configuration=request.get("configuration"),
        tags=request.tag_list("key", "value"),
    )["cluster"]  # fmt: skip
    return Created(created["clusterArn"], {"name": name, "arn": created["clusterArn"]})


@resource("aws:ecs/clusterCapacityProviders:ClusterCapacityProviders")
def cluster_capacity_providers(request: ResourceRequest) -> Created:
    name = request["clusterName"]
    request.call(
        "ecs", "put_cluster_capacity_providers",
        cluster=name, capacityProviders=request.get("capacityProviders", []),
        defaultCapacityProviderStrategy=_strategy(request.get("defaultCapacityProviderStrategies", [])),
    )  # fmt: skip
    return Created(name)


@resource("aws:ecs/taskDefinition:TaskDefinition")
def task_definition(request: ResourceRequest) -> Created:
    created = request.call(
        "ecs", "register_task_definition",
        family=request["family"], containerDefinitions=json.loads(request["containerDefinitions"]),
        taskRoleArn=request.get("taskRoleArn"), executionRoleArn=request.get("executionRoleArn"),
        networkMode=request.get("networkMode"),
        requiresCompatibilities=request.get("requiresCompatibilities"),
        cpu=_text(request.get("cpu")), memory=_text(request.get("memory")),
        runtimePlatform=request.get("runtimePlatform"), volumes=request.get("volumes"),
        ephemeralStorage=request.get("ephemeralStorage"), tags=request.tag_list("key", "value"),
    )["taskDefinition"]  # fmt: skip
    arn = created["taskDefinitionArn"]
    outputs = {
        "arn": arn,
        "arnWithoutRevision": arn.rpartition(":")[0],
        "revision": created["revision"],
    }
    return Created(created["family"], outputs)


@resource("aws:ecs/service:Service")
def service(request: ResourceRequest) -> Created:
    name = request.physical_name()
    network = request.get("networkConfiguration")
    keys = ("targetGroupArn", "containerName", "containerPort")
    balancers = [{key: block[key] for key in keys} for block in request.get("loadBalancers", [])]
    strategy = _strategy(request.get("capacityProviderStrategies", []))
    created = request.call(
        "ecs", "create_service",
        cluster=request.get("cluster"), serviceName=name, taskDefinition=request["taskDefinition"],
        desiredCount=request.get("desiredCount", 0),
        launchType=None if strategy else request.get("launchType"),
        capacityProviderStrategy=strategy or None, platformVersion=request.get("platformVersion"),
        deploymentConfiguration=_deployment_configuration(request), loadBalancers=balancers,
        networkConfiguration=network and {"awsvpcConfiguration": _vpc_configuration(network)},
        healthCheckGracePeriodSeconds=request.get("healthCheckGracePeriodSeconds"),
        enableExecuteCommand=request.get("enableExecuteCommand"),
        enableECSManagedTags=request.get("enableEcsManagedTags"), propagateTags=request.get("propagateTags"),
        availabilityZoneRebalancing=request.get("availabilityZoneRebalancing"),
        tags=request.tag_list("key", "value"),
    )["service"]  # fmt: skip
    return Created(created["serviceArn"], {"name": name, "arn": created["serviceArn"]})


@function("aws:ecs/getService:getService")
def get_service(request: InvokeRequest) -> dict[str, Any]:
    cluster, name = request.inputs["clusterArn"], request.inputs["serviceName"]
    found = request.aws.call("ecs", "describe_services", cluster=cluster, services=[name])["services"][0]
    return {
        "id": found["serviceArn"],
        "arn": found["serviceArn"],
        "clusterArn": cluster,
        "serviceName": name,
        "desiredCount": found["desiredCount"],
        "taskDefinition": found["taskDefinition"],
    }


def _strategy(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "capacityProvider": i["capacityProvider"],
            "weight": i.get("weight") or 0,
            "base": i.get("base") or 0,
        }
        for i in items
    ]


def _deployment_configuration(request: ResourceRequest) -> dict[str, Any]:
    configuration = {
        "maximumPercent": request.get("deploymentMaximumPercent"),
        "minimumHealthyPercent": request.get("deploymentMinimumHealthyPercent"),
        "deploymentCircuitBreaker": request.get("deploymentCircuitBreaker"),
    }
    if alarms := request.get("alarms"):
        names = ("alarmNames", "enable", "rollback")
        configuration["alarms"] = {name: alarms[name] for name in names if name in alarms}
    return {name: value for name, value in configuration.items() if value is not None}


def _vpc_configuration(network: dict[str, Any]) -> dict[str, Any]:
    return {
        "subnets": network["subnets"],
        "securityGroups": network.get("securityGroups") or [],
        "assignPublicIp": "ENABLED" if network.get("assignPublicIp") else "DISABLED",
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
