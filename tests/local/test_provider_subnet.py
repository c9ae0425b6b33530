"""A subnet that is there already, as local AWS describes it to the program."""

from local.aws.client import LocalAws
from local.provider.registry import InvokeRequest, invoke_handler


def test_a_subnet_tells_its_network_and_zone(aws: LocalAws) -> None:
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    made = aws.call("ec2", "create_subnet", VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1b")
    subnet = made["Subnet"]["SubnetId"]
    found = invoke_handler("aws:ec2/getSubnet:getSubnet")(InvokeRequest(aws, {"id": subnet}))
    assert (found["id"], found["vpcId"], found["availabilityZone"]) == (subnet, vpc, "us-east-1b")
