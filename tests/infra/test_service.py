"""The service, its cluster and its autoscaling."""

import json
from datetime import UTC, datetime

import pytest

from app.metrics import IN_FLIGHT, NAMESPACE
from tests.infra.graph import StackGraph, stack_graph


def test_the_minimum_runs_on_demand_and_what_comes_on_top_is_shared_with_spot(
    staging: StackGraph, production: StackGraph
) -> None:
    for graph, least in ((staging, 1), (production, 3)):
        strategies = {
            s["capacityProvider"]: s for s in graph.one("Service").get("capacityProviderStrategies")
        }
        assert strategies["FARGATE"]["base"] == least
        assert strategies["FARGATE_SPOT"]["base"] == 0
        assert strategies["FARGATE_SPOT"]["weight"] > 0
        assert set(graph.one("ClusterCapacityProviders").get("capacityProviders")) == set(strategies)


def test_a_deployment_that_does_not_start_is_rolled_back(either: StackGraph) -> None:
    service = either.one("Service")
    assert service.get("deploymentCircuitBreaker") == {"enable": True, "rollback": True}
    assert service.get("deploymentMinimumHealthyPercent") == 100
    assert service.get("deploymentMaximumPercent") == 200
    assert either.one("TaskDefinition").get("skipDestroy") is True


def test_an_alarm_that_clients_would_feel_rolls_a_deployment_back(either: StackGraph) -> None:
    service = either.one("Service")
    names = [either.one("MetricAlarm", name).get("name") for name in ("failed-requests", "slow-answers")]
    assert service.get("alarms") == {"enable": True, "rollback": True, "alarmNames": names}


def test_every_deployment_is_verified(either: StackGraph) -> None:
    hooks = either.one("Service").hooks
    assert hooks["after_create"] == hooks["after_update"] == ["verify-deployment"]
    assert "aws:ecs/getService:getService" in {token for token, _, _ in either.invokes}


def test_nobody_gets_a_shell_and_tasks_carry_the_services_tags(either: StackGraph) -> None:
    service = either.one("Service")
    assert service.get("enableExecuteCommand") is False
    assert service.get("propagateTags") == "SERVICE"


def test_tasks_run_in_private_subnets(either: StackGraph) -> None:
    subnets = [either.by_id(i) for i in either.one("Service").get("networkConfiguration", "subnets")]
    assert {s.get("tags", "tier") for s in subnets} == {"private"}


def test_the_balancer_sends_to_the_container_that_exists(either: StackGraph) -> None:
    [container] = json.loads(either.one("TaskDefinition").get("containerDefinitions"))
    [target] = either.one("Service").get("loadBalancers")
    assert target["containerName"] == container["name"]
    assert target["containerPort"] == container["portMappings"][0]["containerPort"]
    assert target["targetGroupArn"] == either.one("TargetGroup").get("arn")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Listener", "balancer-http"),
        ("ClusterCapacityProviders", "cluster"),
        ("RolePolicy", "execution"),
        ("RolePolicy", "task"),
        ("ReplicationGroup", "cache"),
        ("User", "cache-gateway"),
        ("Secret", "vault-pepper"),
        ("LogGroup", "logs-gateway"),
    ],
)
def test_tasks_start_only_when_everything_they_need_is_there(
    kind: str, name: str, either: StackGraph
) -> None:
    assert either.one(kind, name).urn in either.waits_for(either.one("Service").urn)


def test_secrets_are_seeded_before_the_first_task_starts(either: StackGraph) -> None:
    service = either.one("Service")
    assert service.hooks["before_create"] == ["seed-before-tasks"]
    assert {s.urn for s in either.all("Secret")} <= either.waits_for(service.urn)


def test_scaling_counts_requests_per_target_cpu_and_open_requests(
    staging: StackGraph, production: StackGraph
) -> None:
    for graph, least, most in ((staging, 1, 4), (production, 3, 30)):
        target = graph.one("Target")
        assert (target.get("minCapacity"), target.get("maxCapacity")) == (least, most)
        assert target.get("resourceId") == f"service/{graph.outputs['cluster_name']}/gateway"
        policies = {
            p.get(
                "targetTrackingScalingPolicyConfiguration",
                "predefinedMetricSpecification",
                "predefinedMetricType",
            ): p.get("targetTrackingScalingPolicyConfiguration")
            for p in graph.all("Policy")
        }
        # The policy on open requests has no predefined metric.
        assert set(policies) == {"ALBRequestCountPerTarget", "ECSServiceAverageCPUUtilization", None}
        in_flight = policies[None]
        assert in_flight["targetValue"] == 200
        assert in_flight["customizedMetricSpecification"] == {
            "namespace": NAMESPACE,
            "metricName": IN_FLIGHT,
            "dimensions": [{"name": "Service", "value": graph.outputs["cluster_name"]}],
            "statistic": "Average",
            "unit": "Count",
        }
        requests, cpu = policies["ALBRequestCountPerTarget"], policies["ECSServiceAverageCPUUtilization"]
        assert (requests["targetValue"], cpu["targetValue"]) == (1500, 60)
        balancer, targets = graph.one("LoadBalancer"), graph.one("TargetGroup")
        assert requests["predefinedMetricSpecification"]["resourceLabel"] == (
            f"{balancer.get('arnSuffix')}/{targets.get('arnSuffix')}"
        )
        assert requests["scaleInCooldown"] > requests["scaleOutCooldown"]


def test_floors_raise_the_minimum_at_their_hours_and_give_it_back() -> None:
    graph = stack_graph(
        "prod", scheduled_floors="mon-fri 08:00-20:00 12", schedule_timezone="America/Los_Angeles"
    )
    actions = {a.name: a for a in graph.all("ScheduledAction")}
    assert {name: a.get("schedule") for name, a in actions.items()} == {
        "scaling-mon-fri-0800-begins": "cron(0 8 ? * MON-FRI *)",
        "scaling-mon-fri-0800-ends": "cron(0 20 ? * MON-FRI *)",
    }
    assert {a.get("timezone") for a in actions.values()} == {"America/Los_Angeles"}
    begins, ends = (actions[f"scaling-mon-fri-0800-{what}"] for what in ("begins", "ends"))
    assert begins.get("scalableTargetAction") == {"minCapacity": 12, "maxCapacity": 30}
    assert ends.get("scalableTargetAction") == {"minCapacity": 3, "maxCapacity": 30}
    assert begins.get("resourceId") == graph.one("Target").get("resourceId")


def in_zone_where_it_is_morning() -> str:
    """A time zone in which it is before noon now, whatever the hour."""
    return "UTC" if datetime.now(UTC).hour < 12 else "Etc/GMT+12"


def test_an_up_within_a_floor_neither_ends_it_nor_waits_for_its_end() -> None:
    zone = in_zone_where_it_is_morning()
    graph = stack_graph("prod", scheduled_floors="mon-sun 00:00-23:00 12", schedule_timezone=zone)
    assert graph.one("Target").get("minCapacity") == 12
    assert graph.one("Target").ignore_changes == []


def test_a_changed_minimum_arrives_at_once_where_no_floor_is_in_force() -> None:
    zone = in_zone_where_it_is_morning()
    night = {"scheduled_floors": "mon-sun 13:00-23:00 12", "schedule_timezone": zone}
    graph = stack_graph("prod", min_tasks="5", **night)
    assert graph.one("Target").get("minCapacity") == 5
    assert graph.one("Target").ignore_changes == []


def test_without_floors_nothing_is_scheduled(either: StackGraph) -> None:
    assert either.all("ScheduledAction") == []


def test_the_first_size_is_the_minimum(production: StackGraph) -> None:
    assert production.one("Service").get("desiredCount") == 3


def test_size_and_family_come_from_the_config(production: StackGraph) -> None:
    task = production.one("TaskDefinition")
    assert (task.get("cpu"), task.get("memory")) == ("1024", "2048")
    assert task.get("family") == "openai-gateway-prod"
    assert task.get("networkMode") == "awsvpc"
    assert task.get("requiresCompatibilities") == ["FARGATE"]


def test_container_insights_report_in_production_to_a_group_of_the_stack(
    staging: StackGraph, production: StackGraph
) -> None:
    assert staging.one("Cluster").get("settings") == [{"name": "containerInsights", "value": "disabled"}]
    cluster = production.one("Cluster")
    assert cluster.get("settings") == [{"name": "containerInsights", "value": "enhanced"}]
    group = production.one("LogGroup", "logs-container-insights")
    assert group.get("name") == f"/aws/ecs/containerinsights/{cluster.get('name')}/performance"
    assert group.urn in cluster.depends_on


def test_a_protected_stack_can_be_chosen_for_staging_too() -> None:
    graph = stack_graph("staging", deletion_protection="true")
    assert graph.one("Table").protect
    assert graph.one("LoadBalancer").get("enableDeletionProtection") is True
