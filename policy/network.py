"""Who can reach what: the internet reaches the load balancer and nothing else."""

from collections.abc import Iterator
from ipaddress import IPv4Network, ip_network

from policy.resource import Graph, Resource, of_type

INGRESS = "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "vpc/securityGroupEgressRule:SecurityGroupEgressRule"
PUBLIC_PORTS = {80, 443}

# RFC 1918. `is_private` calls even 0.0.0.0/0 private in some versions of Python: both its ends are reserved.
PRIVATE = tuple(IPv4Network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def public_ingress_only_at_the_balancer(graph: Graph) -> list[str]:
    """Only the balancer's security groups admit public addresses, to 80 and 443, and nobody shares them."""
    balancers = of_type(graph, "lb/loadBalancer:LoadBalancer")
    open_groups = {group for balancer in balancers for group in balancer.get("securityGroups") or []}
    found = []
    for rule in of_type(graph, INGRESS):
        for cidr in _public(rule, "cidrIpv4", "cidrIpv6"):
            ports = {rule.get("fromPort"), rule.get("toPort")}
            if rule.get("securityGroupId") not in open_groups:
                found.append(f"{rule} admits {cidr} to {rule.get('securityGroupId')}, which is no balancer's")
            elif not ports <= PUBLIC_PORTS:
                found.append(
                    f"{rule} admits {cidr} to ports {sorted(map(str, ports))}; 80 and 443 are public"
                )
        if rule.get("prefixListId"):
            found.append(f"{rule} admits a prefix list, whose addresses nobody sees here")
    for group in of_type(
        graph, "ec2/securityGroup:SecurityGroup", "ec2/defaultSecurityGroup:DefaultSecurityGroup"
    ):
        if group.get("ingress") or group.get("egress"):
            found.append(f"{group} has rules inside; make each a resource, so that it is checked")
    for resource, groups in _members(graph):
        shared = sorted(open_groups.intersection(groups))
        if shared:
            found.append(f"{resource} shares {', '.join(shared)} with the balancer and is public like it")
    return found


def nothing_has_a_public_address(graph: Graph) -> list[str]:
    """Tasks have no public address and subnets hand none out."""
    found = [
        f"{service} gives its tasks public addresses"
        for service in of_type(graph, "ecs/service:Service")
        if service.get("networkConfiguration", "assignPublicIp") is not False
    ]
    found += [
        f"{subnet} gives public addresses to whatever starts in it"
        for subnet in of_type(graph, "ec2/subnet:Subnet")
        if subnet.get("mapPublicIpOnLaunch") is not False
    ]
    return found


def cache_has_no_way_out(graph: Graph) -> list[str]:
    """The cache stands in subnets whose routes lead nowhere but the VPC.

    The routes of a network that the stack stands in and did not make are not in the graph: its owner's.
    """
    if not of_type(graph, "ec2/vpc:Vpc"):
        return []
    ways_out = {
        route.get("routeTableId")
        for route in of_type(graph, "ec2/route:Route")
        if route.get("gatewayId") or route.get("natGatewayId")
    }
    table_of = {
        association.get("subnetId"): association.get("routeTableId")
        for association in of_type(graph, "ec2/routeTableAssociation:RouteTableAssociation")
    }
    found = []
    for group in of_type(graph, "elasticache/subnetGroup:SubnetGroup"):
        for subnet in group.get("subnetIds") or []:
            if subnet not in table_of:
                found.append(f"{group} stands in {subnet}, which has the VPC's main route table")
            elif table_of[subnet] in ways_out:
                found.append(f"{group} stands in {subnet}, which has a route to the internet")
    return found


def security_groups_are_acyclic(graph: Graph) -> list[str]:
    """No chain of allowed connections leads from a security group back to itself."""
    allowed: dict[str, set[str]] = {}
    for source, target in _connections(graph):
        allowed.setdefault(source, set()).add(target)

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for target in allowed.get(waiting.pop(), set()) - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    return [f"{group} can be reached from itself" for group in sorted(allowed) if group in reachable(group)]


def https_where_there_is_a_certificate(graph: Graph) -> list[str]:
    """Beside an HTTPS listener plain HTTP only redirects, permanently; TLS is 1.2 or newer."""
    listeners = of_type(graph, "lb/listener:Listener")
    secure = [listener for listener in listeners if listener.get("protocol") == "HTTPS"]
    found = []
    for listener in secure:
        if not str(listener.get("sslPolicy")).startswith("ELBSecurityPolicy-TLS13-1-"):
            found.append(f"{listener} allows old TLS: {listener.get('sslPolicy')}")
        if not listener.get("certificateArn"):
            found.append(f"{listener} has no certificate")
    for listener in listeners if secure else []:
        action = listener.get("defaultActions", 0) or {}
        redirects = action.get("type") == "redirect" and action.get("redirect", {}).get("protocol") == "HTTPS"
        if listener.get("protocol") == "HTTP" and not redirects:
            found.append(f"{listener} answers in clear although there is a certificate")
    return found


def _public(rule: Resource, *fields: str) -> Iterator[str]:
    for field in fields:
        cidr = rule.get(field)
        if cidr and not _is_private(cidr):
            yield cidr


def _is_private(cidr: str) -> bool:
    network = ip_network(cidr)
    return isinstance(network, IPv4Network) and any(network.subnet_of(private) for private in PRIVATE)


def _members(graph: Graph) -> Iterator[tuple[Resource, list[str]]]:
    """What stands behind the balancer, with its security groups."""
    for service in of_type(graph, "ecs/service:Service"):
        yield service, service.get("networkConfiguration", "securityGroups") or []
    for cache in of_type(graph, "elasticache/replicationGroup:ReplicationGroup"):
        yield cache, cache.get("securityGroupIds") or []


def _connections(graph: Graph) -> Iterator[tuple[str, str]]:
    """(source, target) of security groups between which a rule allows connections."""
    for rule in of_type(graph, INGRESS):
        if source := rule.get("referencedSecurityGroupId"):
            yield source, rule.properties["securityGroupId"]
    for rule in of_type(graph, EGRESS):
        if target := rule.get("referencedSecurityGroupId"):
            yield rule.properties["securityGroupId"], target
