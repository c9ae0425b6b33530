"""Connections are allowed from the internet to the balancer, on to tasks, on to the cache; no others."""

import pytest

from infra.security_groups import upstream_ports
from tests.infra.graph import StackGraph, stack_graph

BALANCER, TASKS, CACHE = (f"securityGroup-{name}" for name in ("balancer", "tasks", "cache"))


def allowed(graph: StackGraph, kind: str) -> set[tuple[str, str, int]]:
    """(group, the other side, port) of every rule of a kind."""
    rules = graph.all(kind)
    assert all(r.get("ipProtocol") == "tcp" and r.get("fromPort") == r.get("toPort") for r in rules)
    return {
        (r.get("securityGroupId"), r.get("referencedSecurityGroupId") or r.get("cidrIpv4"), r.get("fromPort"))
        for r in rules
    }


def test_ingress_is_a_chain(staging: StackGraph, production: StackGraph) -> None:
    chain = {(TASKS, BALANCER, 8080), (CACHE, TASKS, 6379)}
    assert allowed(staging, "SecurityGroupIngressRule") == {(BALANCER, "0.0.0.0/0", 80), *chain}
    assert allowed(production, "SecurityGroupIngressRule") == {
        (BALANCER, "0.0.0.0/0", 80),
        (BALANCER, "0.0.0.0/0", 443),
        *chain,
    }


def test_egress_is_the_same_chain_and_tasks_to_openai(either: StackGraph) -> None:
    assert allowed(either, "SecurityGroupEgressRule") == {
        (BALANCER, TASKS, 8080),
        (TASKS, CACHE, 6379),
        (TASKS, "0.0.0.0/0", 443),
    }


def test_each_part_is_in_its_group(either: StackGraph) -> None:
    assert either.one("LoadBalancer").get("securityGroups") == [BALANCER]
    assert either.one("Service").get("networkConfiguration", "securityGroups") == [TASKS]
    assert either.one("ReplicationGroup").get("securityGroupIds") == [CACHE]


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("https://api.openai.com/v1", [443]),
        ("https://openai.example.com:8443/v1", [443, 8443]),
        ("http://127.0.0.1:9999/v1", [443]),
    ],
)
def test_tasks_reach_an_upstream_on_its_own_port(url: str, ports: list[int]) -> None:
    assert upstream_ports(url) == ports


def test_an_upstream_port_becomes_a_rule() -> None:
    graph = stack_graph("staging", openai_base_url="https://openai.example.com:8443/v1")
    assert (TASKS, "0.0.0.0/0", 8443) in allowed(graph, "SecurityGroupEgressRule")
