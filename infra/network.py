"""The network: a VPC whose tasks reach the internet through NAT and whose cache cannot reach it at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class NetworkArgs:
    """zones: how many availability zones, 2 or 3. cidr: /16 to /20.
    nat_gateways: none leaves tasks no way to the internet."""

    region: str
    cidr: IPv4Network
    zones: int
    nat_gateways: Literal["none", "one", "per-zone"]


@dataclass(frozen=True)
class Subnets:
    """Address ranges by tier, one per zone in the zones' order."""

    public: Sequence[IPv4Network]
    private: Sequence[IPv4Network]
    isolated: Sequence[IPv4Network]


def subnets(cidr: IPv4Network, zones: int) -> Subnets:
    """Half of `cidr` for tasks, a quarter each for what is public and what is isolated.

    Each tier is cut in four, whatever the number of zones, so that a third zone moves no subnet.
    """
    lower, private = cidr.subnets(1)
    public, isolated = lower.subnets(1)
    return Subnets(*(list(tier.subnets(2))[:zones] for tier in (public, private, isolated)))


class Network(pulumi.ComponentResource):
    """VPC, three tiers of subnets, NAT, gateway endpoints; its default security group allows nothing."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    isolated_subnet_ids: list[pulumi.Output[str]]
    nat_gateway_ids: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Network", name, None, opts)
        self._prefix = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(args.cidr),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": name},
            opts=self._child,
        )
        self.vpc_id = self._vpc.id
        # AWS makes one that lets its members talk to each other; whatever lands in it by mistake is cut off.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, ingress=[], egress=[], opts=self._child
        )
        zones = self._zones(args)
        ranges = subnets(args.cidr, args.zones)
        public = self._tier("public", ranges.public, zones)
        private = self._tier("private", ranges.private, zones)
        isolated = self._tier("isolated", ranges.isolated, zones)

        outside = self._internet(public)
        wanted = {"none": 0, "one": 1, "per-zone": args.zones}[args.nat_gateways]
        gateways = self._nat(public[:wanted], outside)
        tables = [
            self._private_routes(index, subnet, gateways[index % len(gateways)] if gateways else None)
            for index, subnet in enumerate(private)
        ]
        self._isolated_routes(isolated)
        self._gateway_endpoints(args.region, tables)

        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.isolated_subnet_ids = [subnet.id for subnet in isolated]
        self.nat_gateway_ids = [gateway.id for gateway in gateways]
        self.register_outputs({"vpc_id": self.vpc_id})

    def _zones(self, args: NetworkArgs) -> list[pulumi.Output[str]]:
        """Names of the zones to use; local zones, which an account opts in to, are left out."""
        found = aws.get_availability_zones_output(
            state="available",
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOptions(parent=self),
        )

        def nth(index: int) -> pulumi.Output[str]:
            return found.names.apply(lambda names: zone(names, index, args))

        return [nth(index) for index in range(args.zones)]

    def _tier(
        self, tier: str, ranges: Sequence[IPv4Network], zones: Sequence[pulumi.Output[str]]
    ) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{self._prefix}-{tier}-{index}",
                vpc_id=self.vpc_id,
                cidr_block=str(cidr),
                availability_zone=zones[index],
                # Only the balancer and NAT stand in public subnets, and both get addresses of their own.
                map_public_ip_on_launch=False,
                tags={"Name": f"{self._prefix}-{tier}-{index}", "tier": tier},
                opts=self._child,
            )
            for index, cidr in enumerate(ranges)
        ]

    def _route_table(self, tier: str) -> aws.ec2.RouteTable:
        name = f"{self._prefix}-{tier}"
        return aws.ec2.RouteTable(name, vpc_id=self.vpc_id, tags={"Name": name}, opts=self._child)

    def _associate(self, suffix: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> None:
        aws.ec2.RouteTableAssociation(
            f"{self._prefix}-{suffix}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )

    def _internet(self, public: Sequence[aws.ec2.Subnet]) -> aws.ec2.InternetGateway:
        gateway = aws.ec2.InternetGateway(
            self._prefix, vpc_id=self.vpc_id, tags={"Name": self._prefix}, opts=self._child
        )
        table = self._route_table("public")
        aws.ec2.Route(
            f"{self._prefix}-public",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        for index, subnet in enumerate(public):
            self._associate(f"public-{index}", subnet, table)
        return gateway

    def _nat(
        self, public: Sequence[aws.ec2.Subnet], internet: aws.ec2.InternetGateway
    ) -> list[aws.ec2.NatGateway]:
        gateways = []
        for index, subnet in enumerate(public):
            name = f"{self._prefix}-nat-{index}"
            address = aws.ec2.Eip(name, domain="vpc", tags={"Name": name}, opts=self._child)
            gateways.append(
                aws.ec2.NatGateway(
                    name,
                    allocation_id=address.id,
                    subnet_id=subnet.id,
                    tags={"Name": name},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[internet]),
                )
            )
        return gateways

    def _private_routes(
        self, index: int, subnet: aws.ec2.Subnet, gateway: aws.ec2.NatGateway | None
    ) -> aws.ec2.RouteTable:
        table = self._route_table(f"private-{index}")
        if gateway is not None:
            aws.ec2.Route(
                f"{self._prefix}-private-{index}",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateway.id,
                opts=self._child,
            )
        self._associate(f"private-{index}", subnet, table)
        return table

    def _isolated_routes(self, isolated: Sequence[aws.ec2.Subnet]) -> None:
        """A table of their own with no way out: a route added to the VPC's main table opens nothing."""
        table = self._route_table("isolated")
        for index, subnet in enumerate(isolated):
            self._associate(f"isolated-{index}", subnet, table)

    def _gateway_endpoints(self, region: str, tables: Sequence[aws.ec2.RouteTable]) -> None:
        """Keep traffic to S3 (image layers too) and DynamoDB off the NAT gateways, which charge for it."""
        for service in ("s3", "dynamodb"):
            name = f"{self._prefix}-{service}"
            aws.ec2.VpcEndpoint(
                name,
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables],
                tags={"Name": name},
                opts=self._child,
            )


def zone(names: Sequence[str], index: int, args: NetworkArgs) -> str:
    """The name of zone `index`, in the same order each time.

    Raises RunError where the account has fewer zones than the stack wants.
    """
    if index >= len(names):
        raise pulumi.RunError(
            f"availability_zones = {args.zones}: {args.region} offers this account {len(names)} "
            f"({', '.join(sorted(names))}); mend it: pulumi config set availability_zones {len(names)}"
        )
    return sorted(names)[index]
