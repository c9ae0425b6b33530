"""VPCs, subnets and route tables, and the zones they lie in."""

from typing import Any

from local.aws.client import ACCOUNT_ID
from local.provider.ec2_tags import tag_specification
from local.provider.registry import Created, InvokeRequest, ResourceRequest, function, resource


@function("aws:index/getAvailabilityZones:getAvailabilityZones")
def availability_zones(request: InvokeRequest) -> dict[str, Any]:
    zones = request.aws.call("ec2", "describe_availability_zones")["AvailabilityZones"]
    zones.sort(key=lambda zone: zone["ZoneName"])
    return {
        "id": request.aws.region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone["ZoneId"] for zone in zones],
        "groupNames": [request.aws.region],
    }


@function("aws:ec2/getSubnet:getSubnet")
def get_subnet(request: InvokeRequest) -> dict[str, Any]:
    found = request.aws.call("ec2", "describe_subnets", SubnetIds=[request.inputs["id"]])["Subnets"][0]
    return {
        "id": found["SubnetId"],
        "vpcId": found["VpcId"],
        "availabilityZone": found["AvailabilityZone"],
        "cidrBlock": found["CidrBlock"],
        "availableIpAddressCount": found["AvailableIpAddressCount"],
    }


@function("aws:ec2/getSubnets:getSubnets")
def get_subnets(request: InvokeRequest) -> dict[str, Any]:
    filters = [{"Name": f["name"], "Values": f["values"]} for f in request.inputs.get("filters") or []]
    found = request.aws.call("ec2", "describe_subnets", Filters=filters)["Subnets"]
    return {"id": request.aws.region, "ids": [subnet["SubnetId"] for subnet in found]}


@resource("aws:ec2/vpc:Vpc")
def vpc(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_vpc",
        CidrBlock=request["cidrBlock"], InstanceTenancy=request.get("instanceTenancy"),
        TagSpecifications=tag_specification(request, "vpc"),
    )["Vpc"]  # fmt: skip
    vpc_id = created["VpcId"]
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        if request.get(attribute) is not None:
            value = {attribute[0].upper() + attribute[1:]: {"Value": request[attribute]}}
            request.call("ec2", "modify_vpc_attribute", VpcId=vpc_id, **value)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = request.call("ec2", "describe_route_tables", Filters=of_vpc)["RouteTables"]
    groups = request.call("ec2", "describe_security_groups", Filters=of_vpc)["SecurityGroups"]
    outputs = {
        "arn": f"arn:aws:ec2:{request.aws.region}:{ACCOUNT_ID}:vpc/{vpc_id}",
        "ownerId": ACCOUNT_ID,
        "mainRouteTableId": tables[0]["RouteTableId"],
        "defaultRouteTableId": tables[0]["RouteTableId"],
        "defaultSecurityGroupId": groups[0]["GroupId"],
    }
    return Created(vpc_id, outputs)


@resource("aws:ec2/subnet:Subnet")
def subnet(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_subnet",
        VpcId=request["vpcId"], CidrBlock=request["cidrBlock"],
        AvailabilityZone=request.get("availabilityZone"),
        TagSpecifications=tag_specification(request, "subnet"),
    )["Subnet"]  # fmt: skip
    if request.get("mapPublicIpOnLaunch"):
        request.call(
            "ec2",
            "modify_subnet_attribute",
            SubnetId=created["SubnetId"],
            MapPublicIpOnLaunch={"Value": True},
        )
    outputs = {"arn": created["SubnetArn"], "availabilityZone": created["AvailabilityZone"]}
    return Created(created["SubnetId"], outputs)


@resource("aws:ec2/routeTable:RouteTable")
def route_table(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_route_table",
        VpcId=request["vpcId"], TagSpecifications=tag_specification(request, "route-table"),
    )["RouteTable"]  # fmt: skip
    table_id = created["RouteTableId"]
    for route_inputs in request.get("routes", []):
        _add_route(request, table_id, route_inputs)
    arn = f"arn:aws:ec2:{request.aws.region}:{ACCOUNT_ID}:route-table/{table_id}"
    return Created(table_id, {"arn": arn})


@resource("aws:ec2/route:Route")
def route(request: ResourceRequest) -> Created:
    table_id = request["routeTableId"]
    _add_route(request, table_id, {**request.inputs, "cidrBlock": request["destinationCidrBlock"]})
    return Created(f"r-{table_id}-{request['destinationCidrBlock']}", {"state": "active"})


@resource("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(request: ResourceRequest) -> Created:
    answer = request.call(
        "ec2", "associate_route_table", RouteTableId=request["routeTableId"], SubnetId=request["subnetId"]
    )
    return Created(answer["AssociationId"])


def _add_route(request: ResourceRequest, table_id: str, inputs: dict[str, Any]) -> None:
    request.call(
        "ec2", "create_route",
        RouteTableId=table_id, DestinationCidrBlock=inputs["cidrBlock"], GatewayId=inputs.get("gatewayId"),
        NatGatewayId=inputs.get("natGatewayId"), VpcEndpointId=inputs.get("vpcEndpointId"),
    )  # fmt: skip
