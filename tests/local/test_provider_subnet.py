"""Subnets that are there already, as local AWS describes them to the program."""

from local.aws.client import LocalAws
from local.provider.registry import InvokeRequest, invoke_handler


def test_a_subnet_tells_its_network_and_zone(aws: LocalAws) -> None:
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = aws.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1b")
    subnet = made["Subnet"]["SubnetId"]
    found = invoke_handler("aws:ec2/getSubnet:getSubnet")(InvokeRequest(aws, {"id": subnet}))
    assert (found["id"], found["vpcId"], found["availabilityZone"]) == (subnet, vpc, "us-east-1b")
    assert found["availableIpAddressCount"] == 251


def test_only_subnets_that_exist_are_found(aws: LocalAws) -> None:
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = aws.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    filters = [{"name": "subnet-id", "values": [made, "subnet-0123456789abcdef0"]}]
    found = invoke_handler("aws:ec2/getSubnets:getSubnets")(InvokeRequest(aws, {"filters": filters}))
    assert found["ids"] == [made]
