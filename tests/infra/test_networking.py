"""Ways of standing on AWS: without NAT, with interface endpoints, in a network that is there already."""

from collections.abc import Sequence

import pytest

from infra.endpoints import SERVICES
from infra.existing_network import ExistingNetworkArgs, FoundSubnet, NetworkError, check
from policy.invariants import violations
from tests.infra.graph import StackGraph, stack_graph

VPC = "vpc-0123456789abcdef0"
PUBLIC = tuple(f"subnet-0123456789abcde0{number}" for number in range(2))
PRIVATE = tuple(f"subnet-0123456789abcde1{number}" for number in range(2))
ISOLATED = tuple(f"subnet-0123456789abcde2{number}" for number in range(2))


def existing(public: tuple[str, ...] = PUBLIC, private: tuple[str, ...] = PRIVATE) -> StackGraph:
    return stack_graph(
        "staging",
        network="existing",
        vpc_id=VPC,
        public_subnet_ids=",".join(public),
        private_subnet_ids=", ".join(private),
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


def test_subnets_that_do_not_fit_stop_the_program_before_anything_stands_in_them() -> None:
    # The last digits decide the zone in these graphs: 0 and 3 are the same; none ends in f.
    with pytest.raises(AssertionError) as refused:
        existing(public=(PUBLIC[0], PUBLIC[0][:-1] + "3"), private=(PRIVATE[0], PRIVATE[1][:-1] + "f"))
    assert "lie in the same zone us-east-1a" in str(refused.value)
    assert "is no subnet that this account sees in us-east-1" in str(refused.value)
    assert "Traceback" not in str(refused.value).rpartition("the subnets do not fit")[2]


def args(**tiers: Sequence[str]) -> ExistingNetworkArgs:
    fitting = {"public": ["p1", "p2"], "private": ["t1", "t2"], "isolated": ["c1", "c2"]}
    return ExistingNetworkArgs(
        "us-east-1", VPC, **{f"{tier}_subnet_ids": ids for tier, ids in {**fitting, **tiers}.items()}
    )


def found(**changes: FoundSubnet) -> list[FoundSubnet]:
    """Two subnets a tier in zones a and b, some of them otherwise."""
    fitting = {
        f"{tier}{number}": FoundSubnet(f"{tier}{number}", VPC, zone, 100)
        for tier in "ptc"
        for number, zone in ((1, "a"), (2, "b"))
    }
    return list({**fitting, **changes}.values())


def refused(given: ExistingNetworkArgs, subnets: Sequence[FoundSubnet]) -> list[str]:
    with pytest.raises(NetworkError) as caught:
        check(given, subnets)
    return str(caught.value).splitlines()


def test_subnets_that_fit_are_taken() -> None:
    check(args(), found())


def test_everything_that_does_not_fit_is_said_at_once_with_the_keys_to_set() -> None:
    given = args(private=["t1", "t3"], isolated=["c1", "p1"])
    subnets = found(
        p2=FoundSubnet("p2", VPC, "a", 7),
        t1=FoundSubnet("t1", "vpc-other", "b", 100),
    )
    assert refused(given, subnets) == [
        f"the subnets do not fit network {VPC}:",
        "  public_subnet_ids: p1 is named by isolated_subnet_ids too; each tier has subnets of its own",
        "  public_subnet_ids: p2 has 7 free addresses; a load balancer wants 8",
        "  public_subnet_ids: p1 and p2 lie in the same zone a; name one subnet a zone",
        "  public_subnet_ids: none lies in zone b, so the load balancer would not reach the tasks there",
        f"  private_subnet_ids: t1 lies in vpc-other, not in {VPC}",
        "  private_subnet_ids: t3 is no subnet that this account sees in us-east-1",
        "  isolated_subnet_ids: p1 is named by public_subnet_ids too; each tier has subnets of its own",
        "  isolated_subnet_ids: c1 and p1 lie in the same zone a; name one subnet a zone",
        "mend it: pulumi config set public_subnet_ids subnet-1…,subnet-2…",
        "mend it: pulumi config set private_subnet_ids subnet-1…,subnet-2…",
        "mend it: pulumi config set isolated_subnet_ids subnet-1…,subnet-2…",
    ]


def test_the_cache_may_stand_in_other_zones_than_the_load_balancer() -> None:
    check(args(), found(c1=FoundSubnet("c1", VPC, "c", 100)))
