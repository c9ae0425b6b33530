"""Ways of standing on AWS: without NAT, with interface endpoints, in a network that is there already."""

import pytest

from infra.endpoints import SERVICES
from infra.existing_network import FoundSubnet, NetworkError, check_tier
from policy.invariants import violations
from tests.infra.graph import StackGraph, stack_graph

VPC = "vpc-0123456789abcdef0"
PUBLIC = tuple(f"subnet-0123456789abcde0{number}" for number in range(2))
PRIVATE = tuple(f"subnet-0123456789abcde1{number}" for number in range(2))
ISOLATED = tuple(f"subnet-0123456789abcde2{number}" for number in range(2))


def existing(public: tuple[str, ...] = PUBLIC) -> StackGraph:
    return stack_graph(
        "staging",
        network="existing",
        vpc_id=VPC,
        public_subnet_ids=",".join(public),
        private_subnet_ids=", ".join(PRIVATE),
        isolated_subnet_ids=",".join(ISOLATED),
    )


def closed() -> StackGraph:
    return stack_graph(
        "staging",
        nat_gateways="none",
        interface_endpoints="true",
        openai_base_url="https://openai.internal.example.com/v1",
    )


def interfaces(graph: StackGraph) -> dict[str, str]:
    """Service -> name of its interface endpoint."""
    found = [e for e in graph.all("VpcEndpoint") if e.get("vpcEndpointType") == "Interface"]
    return {e.get("serviceName").removeprefix("com.amazonaws.us-east-1."): e.name for e in found}


def test_without_nat_no_route_leads_out_of_the_private_subnets() -> None:
    graph = closed()
    assert graph.all("NatGateway") == graph.all("Eip") == []
    assert [r.name for r in graph.all("Route")] == ["network-public"]
    assert {e.get("serviceName").rpartition(".")[2] for e in graph.all("VpcEndpoint")} >= {"s3", "dynamodb"}
    assert violations(graph.resources) == []
    assert "nat-ports" not in {a.name for a in graph.all("MetricAlarm")}


def test_endpoints_stand_where_tasks_run_and_admit_tasks_only() -> None:
    graph = closed()
    assert set(interfaces(graph)) == set(SERVICES)
    group = graph.one("SecurityGroup", "endpoints").get("id")
    private = graph.one("Service").get("networkConfiguration", "subnets")
    for name in interfaces(graph).values():
        endpoint = graph.one("VpcEndpoint", name)
        assert endpoint.get("subnetIds") == private
        assert endpoint.get("securityGroupIds") == [group]
        assert endpoint.get("privateDnsEnabled") is True
        assert endpoint.urn in graph.waits_for(graph.one("Service").urn)
    rules = [r for r in graph.all("SecurityGroupIngressRule") if r.get("securityGroupId") == group]
    assert [(r.get("referencedSecurityGroupId"), r.get("fromPort")) for r in rules] == [
        (graph.one("SecurityGroup", "tasks").get("id"), 443)
    ]


def test_interface_endpoints_are_a_choice(either: StackGraph) -> None:
    assert interfaces(either) == {}
    assert {g.name for g in either.all("SecurityGroup")} == {"balancer", "tasks", "cache"}
    assert interfaces(stack_graph("staging", interface_endpoints="true"))


def test_an_existing_network_is_stood_in_and_not_changed() -> None:
    graph = existing()
    for kind in (
        "Vpc",
        "Subnet",
        "Route",
        "RouteTable",
        "NatGateway",
        "InternetGateway",
        "FlowLog",
        "VpcEndpoint",
    ):
        assert graph.all(kind) == [], kind
    assert graph.all("DefaultSecurityGroup") == []
    assert tuple(graph.one("LoadBalancer").get("subnets")) == PUBLIC
    assert tuple(graph.one("Service").get("networkConfiguration", "subnets")) == PRIVATE
    assert tuple(graph.one("SubnetGroup").get("subnetIds")) == ISOLATED
    assert {g.get("vpcId") for g in graph.all("SecurityGroup")} == {VPC}
    assert violations(graph.resources) == []


def test_subnets_of_one_zone_stop_the_program() -> None:
    # The last digits decide the zone in these graphs: 0 and 3 are the same.
    with pytest.raises(AssertionError, match=r"public_subnet_ids: .* lie in the same zone us-east-1a"):
        existing(public=(PUBLIC[0], PUBLIC[0][:-1] + "3"))


def test_a_tier_that_fits_is_taken() -> None:
    found = [FoundSubnet("subnet-1", VPC, "a"), FoundSubnet("subnet-2", VPC, "b")]
    assert check_tier("private_subnet_ids", VPC, found) == found


def test_every_subnet_that_does_not_fit_is_named_with_the_key() -> None:
    found = [
        FoundSubnet("subnet-1", VPC, "a"),
        FoundSubnet("subnet-2", "vpc-other", "b"),
        FoundSubnet("subnet-3", VPC, "a"),
    ]
    with pytest.raises(NetworkError) as caught:
        check_tier("private_subnet_ids", VPC, found)
    assert str(caught.value).splitlines() == [
        f"private_subnet_ids: subnet-2 lies in vpc-other, not in {VPC}",
        "private_subnet_ids: subnet-1 and subnet-3 lie in the same zone a; name one subnet a zone",
        "mend it: pulumi config set private_subnet_ids subnet-…,subnet-…",
    ]
