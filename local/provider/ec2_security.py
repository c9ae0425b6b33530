"""Security groups and their rules."""

from collections.abc import Mapping
from typing import Any

from local.aws.client import ACCOUNT_ID
from local.provider.ec2_tags import tag_specification
from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:ec2/securityGroup:SecurityGroup")
def security_group(request: ResourceRequest) -> Created:
    """Like the provider it removes the rule that lets a new group reach everything."""
    name = request.physical_name()
    created = request.call(
        "ec2", "create_security_group",
        GroupName=name, Description=request.get("description", "Managed by Pulumi"),
        VpcId=request.get("vpcId"),
        TagSpecifications=tag_specification(request, "security-group"),
    )  # fmt: skip
    group_id = created["GroupId"]
    _revoke_all(request, group_id)
    for direction in ("ingress", "egress"):
        for rule in request.get(direction, []):
            _authorize(request, direction, group_id, _permission_of_block(rule))
    return Created(group_id, {"name": name, "arn": _arn(request, group_id), "ownerId": ACCOUNT_ID})


@resource("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
def default_security_group(request: ResourceRequest) -> Created:
    of_vpc = [
        {"Name": "vpc-id", "Values": [request["vpcId"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    group = request.call("ec2", "describe_security_groups", Filters=of_vpc)["SecurityGroups"][0]
    group_id = group["GroupId"]
    _revoke_all(request, group_id)
    for direction in ("ingress", "egress"):
        for rule in request.get(direction, []):
            _authorize(request, direction, group_id, _permission_of_block(rule))
    if tags := request.tag_list():
        request.call("ec2", "create_tags", Resources=[group_id], Tags=tags)
    return Created(group_id, {"name": "default", "arn": _arn(request, group_id), "ownerId": ACCOUNT_ID})


@resource("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def ingress_rule(request: ResourceRequest) -> Created:
    return _rule(request, "ingress")


@resource("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def egress_rule(request: ResourceRequest) -> Created:
    return _rule(request, "egress")


def _rule(request: ResourceRequest, direction: str) -> Created:
    permission: dict[str, Any] = {"IpProtocol": str(request["ipProtocol"])}
    for key, name in (("fromPort", "FromPort"), ("toPort", "ToPort")):
        if request.get(key) is not None:
            permission[name] = request[key]
    described = {"Description": request["description"]} if request.get("description") else {}
    if cidr := request.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": cidr, **described}]
    if cidr := request.get("cidrIpv6"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": cidr, **described}]
    if prefix_list := request.get("prefixListId"):
        permission["PrefixListIds"] = [{"PrefixListId": prefix_list, **described}]
    if group := request.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": group, **described}]
    made = _authorize(request, direction, request["securityGroupId"], permission)
    rule_id = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    arn = f"arn:aws:ec2:{request.aws.region}:{ACCOUNT_ID}:security-group-rule/{rule_id}"
    return Created(rule_id, {"securityGroupRuleId": rule_id, "arn": arn})


def _authorize(
    request: ResourceRequest, direction: str, group_id: str, permission: dict[str, Any]
) -> dict[str, Any]:
    operation = f"authorize_security_group_{direction}"
    return request.call("ec2", operation, GroupId=group_id, IpPermissions=[permission])


def _revoke_all(request: ResourceRequest, group_id: str) -> None:
    group = request.call("ec2", "describe_security_groups", GroupIds=[group_id])["SecurityGroups"][0]
    for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        if permissions := group.get(key):
            operation = f"revoke_security_group_{direction}"
            request.call("ec2", operation, GroupId=group_id, IpPermissions=permissions)


def _permission_of_block(rule: Mapping[str, Any]) -> dict[str, Any]:
    """An inline rule of a group, as EC2 takes it."""
    permission: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
    if permission["IpProtocol"] != "-1":
        permission |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    if cidrs := rule.get("cidrBlocks"):
        permission["IpRanges"] = [{"CidrIp": cidr} for cidr in cidrs]
    if groups := rule.get("securityGroups"):
        permission["UserIdGroupPairs"] = [{"GroupId": group} for group in groups]
    return permission


def _arn(request: ResourceRequest, group_id: str) -> str:
    return f"arn:aws:ec2:{request.aws.region}:{ACCOUNT_ID}:security-group/{group_id}"
