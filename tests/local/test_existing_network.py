"""A stack in somebody else's network: it stands there, changes nothing of it, and says what does not fit."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.client import LocalAws
from tests.local import program
from tests.local.conftest import RunningStack, run_local
from tests.local.test_stack import chat

IDS = {
    "network": "existing",
    "vpc_id": "vpc-0123456789abcdef0",
    "public_subnet_ids": "subnet-0123456789abcde00,subnet-0123456789abcde01",
    "private_subnet_ids": "subnet-0123456789abcde10,subnet-0123456789abcde11",
    "isolated_subnet_ids": "subnet-0123456789abcde20,subnet-0123456789abcde21",
}


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Staging in a network that was there before it, with a way into its tasks."""
    folder = tmp_path_factory.mktemp("guest")
    given = {**IDS, "enable_execute_command": "true"}
    config = [word for key, value in given.items() for word in ("--config", f"{key}={value}")]
    done = run_local(folder, "up", "staging", "--json", *config)
    try:
        assert done.returncode == 0, done.stderr[-4000:]
        assert f"network {IDS['vpc_id']}: a real account must have it already" in done.stderr
        yield RunningStack("staging", folder, json.loads(done.stdout))
    finally:
        run_local(folder, "down", "staging")


def vpc_of(aws: LocalAws, subnet_ids: list[str]) -> set[str]:
    found = aws.call("ec2", "describe_subnets", SubnetIds=subnet_ids)["Subnets"]
    return {subnet["VpcId"] for subnet in found}


def service_of(stack: RunningStack) -> dict[str, Any]:
    outputs = stack.state()["outputs"]
    found = stack.aws.call(
        "ecs", "describe_services", cluster=outputs["cluster_name"], services=[outputs["service_name"]]
    )
    service: dict[str, Any] = found["services"][0]
    return service


def test_it_answers_in_the_network_that_was_there(guest: RunningStack) -> None:
    assert chat(guest) == 200


def test_everything_stands_in_that_network_and_nothing_of_it_is_changed(guest: RunningStack) -> None:
    aws = guest.aws
    own = [v for v in aws.call("ec2", "describe_vpcs")["Vpcs"] if not v["IsDefault"]]
    assert len(own) == 1
    vpc = own[0]["VpcId"]
    tasks = service_of(guest)["networkConfiguration"]["awsvpcConfiguration"]["subnets"]
    balancer = aws.call("elbv2", "describe_load_balancers")["LoadBalancers"][0]
    [cache] = aws.call("elasticache", "describe_cache_subnet_groups")["CacheSubnetGroups"]
    tiers = [
        tasks,
        [zone["SubnetId"] for zone in balancer["AvailabilityZones"]],
        [subnet["SubnetIdentifier"] for subnet in cache["Subnets"]],
    ]
    assert vpc_of(aws, [subnet for tier in tiers for subnet in tier]) == {vpc}
    assert len({subnet for tier in tiers for subnet in tier}) == 6
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    assert len(aws.call("ec2", "describe_route_tables", Filters=of_vpc)["RouteTables"]) == 1
    assert aws.call("ec2", "describe_nat_gateways", Filters=of_vpc)["NatGateways"] == []
    assert aws.call("ec2", "describe_vpc_endpoints", Filters=of_vpc)["VpcEndpoints"] == []


def test_ecs_holds_what_a_session_inside_a_task_needs(guest: RunningStack) -> None:
    aws, outputs = guest.aws, guest.state()["outputs"]
    found = aws.call(
        "ecs", "describe_clusters", clusters=[outputs["cluster_name"]], include=["CONFIGURATIONS"]
    )
    sessions = found["clusters"][0]["configuration"]["executeCommandConfiguration"]
    group = sessions["logConfiguration"]["cloudWatchLogGroupName"]
    [kept] = aws.call("logs", "describe_log_groups", logGroupNamePrefix=group)["logGroups"]
    assert kept["kmsKeyId"] == sessions["kmsKeyId"]
    service = service_of(guest)
    assert service["enableExecuteCommand"] is True
    task = aws.call("ecs", "describe_task_definition", taskDefinition=service["taskDefinition"])
    volumes = {volume["name"] for volume in task["taskDefinition"]["volumes"]}
    mounts = task["taskDefinition"]["containerDefinitions"][0]["mountPoints"]
    assert volumes == {mount["sourceVolume"] for mount in mounts}


def test_subnets_that_do_not_fit_are_all_said_before_anything_stands_in_them(aws: LocalAws) -> None:
    def network(*zones: str) -> tuple[str, list[str]]:
        vpc = aws.call("ec2", "create_vpc", CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
        made = [
            aws.call(
                "ec2",
                "create_subnet",
                VpcId=vpc,
                CidrBlock=f"10.50.{n}.0/24",
                AvailabilityZone=f"us-east-1{z}",
            )
            for n, z in enumerate(zones)
        ]
        return vpc, [answer["Subnet"]["SubnetId"] for answer in made]

    vpc, ours = network("a", "a", "b", "b", "a")
    _, theirs = network("a")
    given = {
        "network": "existing",
        "vpc_id": vpc,
        "public_subnet_ids": f"{ours[0]},{ours[1]}",
        "private_subnet_ids": f"{ours[2]},{theirs[0]}",
        "isolated_subnet_ids": f"{ours[4]},subnet-0123456789abcdef0",
    }
    before = aws.call("elbv2", "describe_load_balancers")["LoadBalancers"]
    with pytest.raises(AssertionError) as refused:
        program.run(aws, "staging", given)
    for words in (
        f"public_subnet_ids: {ours[0]} and {ours[1]} lie in the same zone us-east-1a",
        "public_subnet_ids: none lies in zone us-east-1b",
        f"private_subnet_ids: {theirs[0]} lies in vpc-",
        "isolated_subnet_ids: subnet-0123456789abcdef0 is no subnet that this account sees in us-east-1",
        "mend it: pulumi config set public_subnet_ids",
    ):
        assert words in str(refused.value)
    assert aws.call("elbv2", "describe_load_balancers")["LoadBalancers"] == before
