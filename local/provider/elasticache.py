"""ElastiCache: replication groups, and the users, parameters and subnets they use."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:elasticache/subnetGroup:SubnetGroup")
def subnet_group(request: ResourceRequest) -> Created:
    name = request.physical_name()
    created = request.call(
        "elasticache", "create_cache_subnet_group",
        CacheSubnetGroupName=name,
        CacheSubnetGroupDescription=request.get("description", "Managed by Pulumi"),
        SubnetIds=request["subnetIds"], Tags=request.tag_list(),
    )["CacheSubnetGroup"]  # fmt: skip
    return Created(name, {"name": name, "arn": created["ARN"], "vpcId": created.get("VpcId")})


@resource("aws:elasticache/parameterGroup:ParameterGroup")
def parameter_group(request: ResourceRequest) -> Created:
    name = request.physical_name()
    created = request.call(
        "elasticache", "create_cache_parameter_group",
        CacheParameterGroupName=name, CacheParameterGroupFamily=request["family"],
        Description=request.get("description", "Managed by Pulumi"), Tags=request.tag_list(),
    )["CacheParameterGroup"]  # fmt: skip
    if parameters := request.get("parameters"):
        values = [{"ParameterName": p["name"], "ParameterValue": str(p["value"])} for p in parameters]
        request.call(
            "elasticache", "modify_cache_parameter_group",
            CacheParameterGroupName=name, ParameterNameValues=values,
        )  # fmt: skip
    return Created(name, {"name": name, "arn": created["ARN"]})


@resource("aws:elasticache/user:User")
def user(request: ResourceRequest) -> Created:
    mode = request.get("authenticationMode")
    created = request.call(
        "elasticache", "create_user",
        UserId=request["userId"], UserName=request["userName"], Engine=request["engine"],
        AccessString=request["accessString"], Passwords=request.get("passwords"),
        NoPasswordRequired=request.get("noPasswordRequired"),
        AuthenticationMode=mode and _authentication_mode(mode),
        Tags=request.tag_list(),
    )  # fmt: skip
    return Created(created["UserId"], {"arn": created["ARN"]})


@resource("aws:elasticache/userGroup:UserGroup")
def user_group(request: ResourceRequest) -> Created:
    created = request.call(
        "elasticache", "create_user_group",
        UserGroupId=request["userGroupId"], Engine=request["engine"], UserIds=request.get("userIds", []),
        Tags=request.tag_list(),
    )  # fmt: skip
    return Created(created["UserGroupId"], {"arn": created["ARN"]})


@resource("aws:elasticache/replicationGroup:ReplicationGroup")
def replication_group(request: ResourceRequest) -> Created:
    group_id = request["replicationGroupId"]
    created = request.call(
        "elasticache", "create_replication_group",
        ReplicationGroupId=group_id, ReplicationGroupDescription=request["description"],
        Engine=request.get("engine"), EngineVersion=request.get("engineVersion"),
        CacheNodeType=request.get("nodeType"), NumCacheClusters=request.get("numCacheClusters"),
        AutomaticFailoverEnabled=request.get("automaticFailoverEnabled"),
        MultiAZEnabled=request.get("multiAzEnabled"),
        CacheParameterGroupName=request.get("parameterGroupName"),
        CacheSubnetGroupName=request.get("subnetGroupName"),
        SecurityGroupIds=request.get("securityGroupIds"), Port=request.get("port"),
        AtRestEncryptionEnabled=request.get("atRestEncryptionEnabled"), KmsKeyId=request.get("kmsKeyId"),
        TransitEncryptionEnabled=request.get("transitEncryptionEnabled"),
        TransitEncryptionMode=request.get("transitEncryptionMode"), AuthToken=request.get("authToken"),
        UserGroupIds=request.get("userGroupIds"),
        SnapshotRetentionLimit=request.get("snapshotRetentionLimit"),
        SnapshotWindow=request.get("snapshotWindow"),
        PreferredMaintenanceWindow=request.get("maintenanceWindow"),
        AutoMinorVersionUpgrade=request.get("autoMinorVersionUpgrade"), Tags=request.tag_list(),
    )["ReplicationGroup"]  # fmt: skip
    node_group = created["NodeGroups"][0]
    outputs = {
        "arn": created["ARN"],
        "primaryEndpointAddress": node_group["PrimaryEndpoint"]["Address"],
        "readerEndpointAddress": node_group["ReaderEndpoint"]["Address"],
        "port": node_group["PrimaryEndpoint"]["Port"],
        "memberClusters": created["MemberClusters"],
    }
    return Created(group_id, outputs)


def _authentication_mode(block: dict[str, Any]) -> dict[str, Any]:
    passwords = {"Passwords": block["passwords"]} if block.get("passwords") else {}
    return {"Type": block["type"], **passwords}
