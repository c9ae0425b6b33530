"""A network that a stack finds already made: what `network: existing` needs before the program runs.

A real account has it. Local AWS is empty, so one is made here, and its ids take the place of the config's.
"""

from ipaddress import IPv4Network

from infra.config import StackConfig
from infra.network import subnets
from local.aws.client import LocalAws

CIDR = IPv4Network("10.40.0.0/16")


def make_existing_network(aws: LocalAws, config: StackConfig) -> dict[str, str]:
    """Makes a VPC with a subnet a tier and zone. Returns the config that names them."""
    vpc = aws.call("ec2", "create_vpc", CidrBlock=str(CIDR))["Vpc"]["VpcId"]
    found = aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
    zones = sorted(zone["ZoneName"] for zone in found)
    ranges = subnets(CIDR, config.availability_zones)
    tiers = {"public": ranges.public, "private": ranges.private, "isolated": ranges.isolated}

    def make(cidr: IPv4Network, zone: str) -> str:
        made = aws.call("ec2", "create_subnet", VpcId=vpc, CidrBlock=str(cidr), AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    return {"vpc_id": vpc} | {
        f"{tier}_subnet_ids": ",".join(make(cidr, zone) for cidr, zone in zip(cidrs, zones, strict=False))
        for tier, cidrs in tiers.items()
    }
