"""ECS: moto drops fields of a service, calls every task it was asked for running, and has no tasks to show.

The deployment of a service that no runtime watches is called complete: under a real engine the runtime starts
after the deployment, and nothing that asks for its end must wait for tasks that come later.
Kept here: capacity provider strategy, deployment configuration and the others below. Told from what the
runtime observes: running and pending counts, `list_tasks` and `describe_tasks`.
"""

from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse as Response

from local.aws import exchange
from local.aws.repairs.patch import patch

KEPT_FIELDS = {
    "capacityProviderStrategy": "capacity_provider_strategy",
    "deploymentConfiguration": "deployment_configuration",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "enableExecuteCommand": "enable_execute_command",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "placementConstraints": "placement_constraints",
}
"""A field's name on the wire -> the attribute that moto's serializer reads."""


def repair() -> None:
    create: Any = Response.create_service
    update: Any = Response.update_service
    describe: Any = Response.describe_services

    def create_service(self: Any) -> Any:
        answer = create(self)
        _keep_fields(self, answer._result["service"])
        return answer

    def update_service(self: Any) -> Any:
        answer = update(self)
        service = answer._result["service"]
        _keep_fields(self, service)
        for deployment in service.deployments:
            deployment["taskDefinition"] = service.task_definition
            deployment["desiredCount"] = service.desired_count
        return answer

    def describe_services(self: Any) -> Any:
        answer = describe(self)
        counts = exchange.observed()["services"]
        for service in answer._result["services"]:
            if service.arn in counts:
                _tell_counts(service, counts[service.arn])
            else:
                _tell_counts(service, {"running": 0, "pending": service.desired_count})
                for deployment in service.deployments:
                    deployment["rolloutState"] = "COMPLETED"
        return answer

    def list_tasks(self: Any) -> Any:
        cluster, service = self._get_param("cluster", "default"), self._get_param("serviceName")
        status = self._get_param("desiredStatus", "RUNNING")
        tasks = [t for t in exchange.observed()["tasks"] if _in_cluster(t, cluster)]
        tasks = [t for t in tasks if t["desiredStatus"] == status]
        if service:
            tasks = [t for t in tasks if t["group"] == f"service:{service.split('/')[-1]}"]
        return ActionResult({"taskArns": [t["taskArn"] for t in tasks]})

    def describe_tasks(self: Any) -> Any:
        cluster = self._get_param("cluster", "default")
        known = {t["taskArn"]: t for t in exchange.observed()["tasks"] if _in_cluster(t, cluster)}
        by_id = {arn.split("/")[-1]: task for arn, task in known.items()}
        asked = [task.split("/")[-1] for task in self._get_param("tasks", [])]
        found = [by_id[task] for task in asked if task in by_id]
        missing = [{"arn": task, "reason": "MISSING"} for task in asked if task not in by_id]
        return ActionResult({"tasks": found, "failures": missing})

    patch(
        Response,
        create_service=create_service,
        update_service=update_service,
        describe_services=describe_services,
        list_tasks=list_tasks,
        describe_tasks=describe_tasks,
    )


def _keep_fields(response: Any, service: Any) -> None:
    for field, attribute in KEPT_FIELDS.items():
        if (value := response._get_param(field)) is not None:
            setattr(service, attribute, value)
    if response._get_param("capacityProviderStrategy"):
        service.launch_type = None
        for deployment in service.deployments:
            deployment["launchType"] = None
            deployment["capacityProviderStrategy"] = service.capacity_provider_strategy


def _tell_counts(service: Any, counts: dict[str, int]) -> None:
    service.running_count, service.pending_count = counts["running"], counts["pending"]
    settled = counts["running"] == service.desired_count and not counts["pending"]
    for deployment in service.deployments:
        deployment["runningCount"], deployment["pendingCount"] = counts["running"], counts["pending"]
        deployment["rolloutState"] = "COMPLETED" if settled else "IN_PROGRESS"
        deployment["rolloutStateReason"] = (
            f"ECS deployment {deployment['id']} {'completed' if settled else 'in progress'}."
        )


def _in_cluster(task: dict[str, Any], cluster: str) -> bool:
    name: str = task["clusterArn"].split("/")[-1]
    return name == cluster.split("/")[-1]
