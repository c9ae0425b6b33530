"""The ways out of a VPC: internet and NAT gateways, endpoints; and the log of what flows."""

from local.aws.client import ACCOUNT_ID
from local.provider.ec2_tags import tag_specification
from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_internet_gateway", TagSpecifications=tag_specification(request, "internet-gateway")
    )["InternetGateway"]
    gateway_id = created["InternetGatewayId"]
    if vpc_id := request.get("vpcId"):
        request.call("ec2", "attach_internet_gateway", InternetGatewayId=gateway_id, VpcId=vpc_id)
    return Created(gateway_id, {"arn": _arn(request, "internet-gateway", gateway_id)})


@resource("aws:ec2/eip:Eip")
def elastic_ip(request: ResourceRequest) -> Created:
    answer = request.call(
        "ec2", "allocate_address", Domain="vpc", TagSpecifications=tag_specification(request, "elastic-ip")
    )
    allocation = answer["AllocationId"]
    return Created(allocation, {"allocationId": allocation, "publicIp": answer["PublicIp"]})


@resource("aws:ec2/natGateway:NatGateway")
def nat_gateway(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_nat_gateway",
        SubnetId=request["subnetId"], AllocationId=request.get("allocationId"),
        ConnectivityType=request.get("connectivityType"),
        TagSpecifications=tag_specification(request, "natgateway"),
    )["NatGateway"]  # fmt: skip
    return Created(created["NatGatewayId"])


@resource("aws:ec2/vpcEndpoint:VpcEndpoint")
def vpc_endpoint(request: ResourceRequest) -> Created:
    created = request.call(
        "ec2", "create_vpc_endpoint",
        VpcId=request["vpcId"], ServiceName=request["serviceName"],
        VpcEndpointType=request.get("vpcEndpointType"),
        RouteTableIds=request.get("routeTableIds"), SubnetIds=request.get("subnetIds"),
        SecurityGroupIds=request.get("securityGroupIds"), PolicyDocument=request.get("policy"),
        PrivateDnsEnabled=request.get("privateDnsEnabled"),
        TagSpecifications=tag_specification(request, "vpc-endpoint"),
    )["VpcEndpoint"]  # fmt: skip
    endpoint_id = created["VpcEndpointId"]
    service = [{"Name": "prefix-list-name", "Values": [request["serviceName"]]}]
    lists = request.call("ec2", "describe_managed_prefix_lists", Filters=service)["PrefixLists"]
    outputs = {"arn": _arn(request, "vpc-endpoint", endpoint_id), "state": created["State"]}
    return Created(endpoint_id, outputs | ({"prefixListId": lists[0]["PrefixListId"]} if lists else {}))


@resource("aws:ec2/flowLog:FlowLog")
def flow_log(request: ResourceRequest) -> Created:
    targets = {"VPC": "vpcId", "Subnet": "subnetId", "NetworkInterface": "eniId"}
    kind = next(kind for kind, key in targets.items() if request.get(key))
    answer = request.call(
        "ec2", "create_flow_logs",
        ResourceType=kind, ResourceIds=[request[targets[kind]]], TrafficType=request.get("trafficType"),
        LogDestinationType=request.get("logDestinationType"), LogDestination=request.get("logDestination"),
        LogFormat=request.get("logFormat"), DeliverLogsPermissionArn=request.get("iamRoleArn"),
        MaxAggregationInterval=request.get("maxAggregationInterval"),
        TagSpecifications=tag_specification(request, "vpc-flow-log"),
    )  # fmt: skip
    if answer.get("Unsuccessful"):
        raise ValueError(f"flow log {request.name}: {answer['Unsuccessful'][0]['Error']['Message']}")
    log_id = answer["FlowLogIds"][0]
    return Created(log_id, {"arn": _arn(request, "vpc-flow-log", log_id)})


def _arn(request: ResourceRequest, kind: str, resource_id: str) -> str:
    return f"arn:aws:ec2:{request.aws.region}:{ACCOUNT_ID}:{kind}/{resource_id}"
