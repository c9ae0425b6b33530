"""Local AWS answers what moto alone drops, lacks or invents."""

import hashlib

import pytest
from botocore.exceptions import ClientError

from local.aws import exchange
from local.aws.client import LocalAws
from tests.local.conftest import LocalAwsServer


@pytest.fixture
def target_group(aws: LocalAws, unique: str) -> str:
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = aws.call(
        "elbv2", "create_target_group", Name=unique, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip"
    )
    return str(made["TargetGroups"][0]["TargetGroupArn"])


def states(aws: LocalAws, arn: str) -> dict[int, str]:
    found = aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {item["Target"]["Port"]: item["TargetHealth"]["State"] for item in found}


def test_targets_of_one_address_are_told_apart_by_port(aws: LocalAws, target_group: str) -> None:
    targets = [{"Id": "127.0.0.1", "Port": port} for port in (1001, 1002)]
    aws.call("elbv2", "register_targets", TargetGroupArn=target_group, Targets=targets)
    assert states(aws, target_group) == {1001: "initial", 1002: "initial"}
    aws.call("elbv2", "deregister_targets", TargetGroupArn=target_group, Targets=targets[:1])
    assert states(aws, target_group) == {1002: "initial"}


def test_a_targets_health_is_what_the_runtime_observed(aws_server: LocalAwsServer, target_group: str) -> None:
    aws = aws_server.aws
    targets = [{"Id": "127.0.0.1", "Port": 1001}]
    aws.call("elbv2", "register_targets", TargetGroupArn=target_group, Targets=targets)
    seen = [
        {"id": "127.0.0.1", "port": 1001, "state": "unhealthy", "reason": "Target.FailedHealthChecks"},
        {"id": "127.0.0.1", "port": 1002, "state": "draining"},
        {"id": "127.0.0.1", "port": 1003, "state": "healthy"},
    ]
    exchange.write_observed(aws_server.exchange, {"targets": {target_group: seen}})
    assert states(aws, target_group) == {1001: "unhealthy", 1002: "draining"}


def test_a_service_keeps_what_moto_drops(aws_server: LocalAwsServer, unique: str) -> None:
    aws = aws_server.aws
    cluster = aws.call("ecs", "create_cluster", clusterName=unique)["cluster"]["clusterArn"]
    container = {"name": "c", "image": "i", "memory": 64}
    aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
    strategy = [{"capacityProvider": "FARGATE", "weight": 1, "base": 1}]
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}, "maximumPercent": 200}
    service = aws.call(
        "ecs", "create_service", cluster=cluster, serviceName="s", taskDefinition=unique, desiredCount=2,
        capacityProviderStrategy=strategy, deploymentConfiguration=breaker, healthCheckGracePeriodSeconds=7,
    )["service"]  # fmt: skip
    exchange.write_observed(
        aws_server.exchange, {"services": {service["serviceArn"]: {"running": 1, "pending": 1}}}
    )
    found = aws.call("ecs", "describe_services", cluster=cluster, services=["s"])["services"][0]
    assert found["capacityProviderStrategy"] == strategy
    assert found["deploymentConfiguration"]["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert found["healthCheckGracePeriodSeconds"] == 7
    assert (found["runningCount"], found["pendingCount"]) == (1, 1)
    assert found["deployments"][0]["rolloutState"] == "IN_PROGRESS"


def test_tasks_are_those_that_the_runtime_runs(aws_server: LocalAwsServer, unique: str) -> None:
    cluster = f"arn:aws:ecs:us-east-1:123456789012:cluster/{unique}"
    task = {
        "taskArn": f"arn:aws:ecs:us-east-1:123456789012:task/{unique}/abc",
        "clusterArn": cluster,
        "group": "service:gateway",
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "healthStatus": "HEALTHY",
    }
    exchange.write_observed(aws_server.exchange, {"tasks": [task]})
    aws = aws_server.aws
    assert aws.call("ecs", "list_tasks", cluster=unique, serviceName="gateway")["taskArns"] == [
        task["taskArn"]
    ]
    assert aws.call("ecs", "list_tasks", cluster=unique, serviceName="other")["taskArns"] == []
    found = aws.call("ecs", "describe_tasks", cluster=unique, tasks=["abc", "nope"])
    assert found["tasks"][0]["healthStatus"] == "HEALTHY"
    assert found["failures"] == [{"arn": "nope", "reason": "MISSING"}]


def test_a_replication_group_answers_on_this_machine(aws_server: LocalAwsServer, unique: str) -> None:
    aws = aws_server.aws
    aws.call(
        "elasticache", "create_replication_group", ReplicationGroupId=unique, ReplicationGroupDescription="d",
        Engine="valkey", NumCacheClusters=3, CacheParameterGroupName="mine",
    )  # fmt: skip
    found = aws.call("elasticache", "describe_replication_groups", ReplicationGroupId=unique)
    group = found["ReplicationGroups"][0]
    assert group["NodeGroups"][0]["PrimaryEndpoint"] == {
        "Address": "127.0.0.1",
        "Port": aws_server.cache_port,
    }
    assert len(group["MemberClusters"]) == 3
    node = aws.call("elasticache", "describe_cache_clusters", CacheClusterId=group["MemberClusters"][0])
    assert node["CacheClusters"][0]["CacheParameterGroup"]["CacheParameterGroupName"] == "mine"


def test_a_cache_users_password_can_be_changed_and_is_told_as_a_hash_only(
    aws_server: LocalAwsServer, unique: str
) -> None:
    aws = aws_server.aws
    aws.call(
        "elasticache", "create_user", UserId=unique, UserName=unique, Engine="valkey",
        AccessString="on ~* +@all",
        Passwords=["a" * 16],
    )  # fmt: skip
    aws.call("elasticache", "modify_user", UserId=unique, Passwords=["b" * 16], AccessString="on ~x +get")
    expected = hashlib.sha256(b"b" * 16).hexdigest()
    assert exchange.password_hashes(aws_server.exchange)[unique] == [expected]
    user = aws.call("elasticache", "describe_users", UserId=unique)["Users"][0]
    assert user["AccessString"] == "on ~x +get"
    with pytest.raises(ClientError, match="16-128"):
        aws.call("elasticache", "modify_user", UserId=unique, Passwords=["short"])


def test_user_groups_and_parameter_groups_exist(aws: LocalAws, unique: str) -> None:
    aws.call("elasticache", "create_user_group", UserGroupId=unique, Engine="valkey", UserIds=["u1"])
    aws.call(
        "elasticache", "modify_user_group", UserGroupId=unique, UserIdsToAdd=["u2"], UserIdsToRemove=["u1"]
    )
    found = aws.call("elasticache", "describe_user_groups", UserGroupId=unique)["UserGroups"][0]
    assert found["UserIds"] == ["u2"]
    group = {"CacheParameterGroupName": unique}
    aws.call(
        "elasticache",
        "create_cache_parameter_group",
        **group,
        CacheParameterGroupFamily="valkey8",
        Description="d",
    )
    values = [{"ParameterName": "maxmemory-policy", "ParameterValue": "volatile-ttl"}]
    aws.call("elasticache", "modify_cache_parameter_group", **group, ParameterNameValues=values)
    parameters = aws.call("elasticache", "describe_cache_parameters", **group)["Parameters"]
    assert [(p["ParameterName"], p["ParameterValue"]) for p in parameters] == [
        ("maxmemory-policy", "volatile-ttl")
    ]
    with pytest.raises(ClientError, match="CacheParameterGroupNotFound"):
        aws.call("elasticache", "describe_cache_parameters", CacheParameterGroupName="nope")


def test_a_scalable_target_keeps_its_tags(aws: LocalAws, unique: str) -> None:
    namespace = "application-autoscaling"
    aws.call("ecs", "create_cluster", clusterName=unique)
    container = {"name": "c", "image": "i", "memory": 64}
    aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
    aws.call("ecs", "create_service", cluster=unique, serviceName="s", taskDefinition=unique, desiredCount=1)
    made = aws.call(
        namespace, "register_scalable_target", ServiceNamespace="ecs", ResourceId=f"service/{unique}/s",
        ScalableDimension="ecs:service:DesiredCount", MinCapacity=1, MaxCapacity=2, Tags={"a": "b"},
    )  # fmt: skip
    found = aws.call(namespace, "list_tags_for_resource", ResourceARN=made["ScalableTargetARN"])
    assert found["Tags"] == {"a": "b"}
