"""The network: three tiers over all zones, a way out for tasks only."""

from ipaddress import IPv4Network

import pulumi
import pytest

from infra.network import NetworkArgs, subnets, zone
from tests.infra.graph import StackGraph, stack_graph

TIERS = ("public", "private", "isolated")


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.16.16.0/20", "192.168.0.0/17"])
@pytest.mark.parametrize("zones", [2, 3])
def test_subnets_lie_in_the_network_and_do_not_overlap(cidr: str, zones: int) -> None:
    network = IPv4Network(cidr)
    tiers = subnets(network, zones)
    every = [*tiers.public, *tiers.private, *tiers.isolated]
    assert len(every) == 3 * zones
    assert all(subnet.subnet_of(network) for subnet in every)
    assert not any(a.overlaps(b) for i, a in enumerate(every) for b in every[:i])


def test_a_third_zone_moves_no_subnet() -> None:
    network = IPv4Network("10.20.0.0/16")
    two, three = subnets(network, 2), subnets(network, 3)
    for tier in TIERS:
        assert getattr(three, tier)[:2] == getattr(two, tier)


def test_tasks_have_the_largest_subnets() -> None:
    tiers = subnets(IPv4Network("10.20.0.0/20"), 3)
    assert tiers.private[0].num_addresses == 2 * tiers.public[0].num_addresses == 512


def test_each_tier_spans_the_configured_number_of_zones(staging: StackGraph, production: StackGraph) -> None:
    for graph, zones in ((staging, 2), (production, 3)):
        for tier in TIERS:
            found = [s for s in graph.all("Subnet") if s.get("tags", "tier") == tier]
            assert len({s.get("availabilityZone") for s in found}) == len(found) == zones


def test_zones_come_in_the_same_order_however_aws_lists_them() -> None:
    args = NetworkArgs("us-east-1", IPv4Network("10.0.0.0/16"), 2, "one")
    assert [zone(["c", "a", "b"], index, args) for index in (0, 1)] == ["a", "b"]


def test_too_few_zones_are_refused_with_the_remedy() -> None:
    args = NetworkArgs("us-west-1", IPv4Network("10.0.0.0/16"), 3, "one")
    with pytest.raises(
        pulumi.RunError, match=r"offers this account 2 .* pulumi config set availability_zones 2"
    ):
        zone(["us-west-1a", "us-west-1b"], 2, args)


def test_local_zones_are_left_out(either: StackGraph) -> None:
    [(_, arguments, provider)] = [i for i in either.invokes if i[0].endswith("getAvailabilityZones")]
    assert arguments["filters"] == [{"name": "opt-in-status", "values": ["opt-in-not-required"]}]
    assert "pulumi:providers:aws::aws" in provider


def test_one_nat_gateway_or_one_in_each_zone(staging: StackGraph, production: StackGraph) -> None:
    assert len(staging.all("NatGateway")) == len(staging.all("Eip")) == 1
    assert len(production.all("NatGateway")) == len(production.all("Eip")) == 3
    for graph in (staging, production):
        for gateway in graph.all("NatGateway"):
            assert "public" in graph.by_id(gateway.get("subnetId")).name


def test_with_a_gateway_per_zone_each_private_subnet_leaves_through_its_own_zone(
    production: StackGraph,
) -> None:
    zones = set()
    for association in production.all("RouteTableAssociation"):
        subnet = production.by_id(association.get("subnetId"))
        if subnet.get("tags", "tier") != "private":
            continue
        [route] = [
            r for r in production.all("Route") if r.get("routeTableId") == association.get("routeTableId")
        ]
        gateway = production.by_id(route.get("natGatewayId"))
        out = production.by_id(gateway.get("subnetId"))
        assert out.get("availabilityZone") == subnet.get("availabilityZone")
        zones.add(subnet.get("availabilityZone"))
    assert len(zones) == 3


def test_only_public_subnets_route_to_the_internet_gateway(either: StackGraph) -> None:
    [route] = [r for r in either.all("Route") if r.get("gatewayId")]
    tiers = {
        either.by_id(a.get("subnetId")).get("tags", "tier")
        for a in either.all("RouteTableAssociation")
        if a.get("routeTableId") == route.get("routeTableId")
    }
    assert tiers == {"public"}


def test_every_subnet_has_a_route_table_of_its_own(either: StackGraph) -> None:
    associated = [a.get("subnetId") for a in either.all("RouteTableAssociation")]
    assert sorted(associated) == sorted(s.get("id") for s in either.all("Subnet"))


def test_s3_and_dynamodb_are_reached_without_nat_from_every_private_subnet(either: StackGraph) -> None:
    endpoints = either.all("VpcEndpoint")
    assert {e.get("serviceName") for e in endpoints} == {
        "com.amazonaws.us-east-1.s3",
        "com.amazonaws.us-east-1.dynamodb",
    }
    private = {t.get("id") for t in either.all("RouteTable") if "private" in t.name}
    for endpoint in endpoints:
        assert endpoint.get("vpcEndpointType") == "Gateway"
        assert set(endpoint.get("routeTableIds")) == private


def test_the_default_security_group_allows_nothing(either: StackGraph) -> None:
    group = either.one("DefaultSecurityGroup")
    assert (group.inputs["ingress"], group.inputs["egress"]) == ([], [])


def test_flow_logs_record_everything_into_the_encrypted_group(either: StackGraph) -> None:
    flow_log = either.one("FlowLog")
    assert flow_log.get("trafficType") == "ALL"
    assert flow_log.get("logDestination") == either.one("LogGroup", "logs-flow-logs").get("arn")
    assert flow_log.get("vpcId") == either.one("Vpc").get("id")
    assert either.one("RolePolicy", "flow-logs").urn in flow_log.depends_on


def test_the_stack_file_decides_the_address_range() -> None:
    graph = stack_graph("staging", vpc_cidr="172.20.0.0/20")
    assert graph.one("Vpc").get("cidrBlock") == "172.20.0.0/20"
    assert all(s.get("cidrBlock").startswith("172.20.") for s in graph.all("Subnet"))
