"""IAM roles and their policies, and who the caller is."""

from typing import Any

from local.provider.registry import Created, InvokeRequest, ResourceRequest, function, resource


@resource("aws:iam/role:Role")
def role(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=64)
    created = request.call(
        "iam", "create_role",
        RoleName=name, AssumeRolePolicyDocument=request["assumeRolePolicy"],
        Description=request.get("description"),
        Path=request.get("path"), MaxSessionDuration=request.get("maxSessionDuration"),
        PermissionsBoundary=request.get("permissionsBoundary"), Tags=request.tag_list(),
    )["Role"]  # fmt: skip
    for policy in request.get("inlinePolicies", []):
        request.call(
            "iam",
            "put_role_policy",
            RoleName=name,
            PolicyName=policy["name"],
            PolicyDocument=policy["policy"],
        )
    for arn in request.get("managedPolicyArns", []):
        request.call("iam", "attach_role_policy", RoleName=name, PolicyArn=arn)
    return Created(name, {"name": name, "arn": created["Arn"], "uniqueId": created["RoleId"]})


@resource("aws:iam/rolePolicy:RolePolicy")
def role_policy(request: ResourceRequest) -> Created:
    name, role_name = request.physical_name(longest=128), request["role"]
    request.call(
        "iam", "put_role_policy", RoleName=role_name, PolicyName=name, PolicyDocument=request["policy"]
    )
    return Created(f"{role_name}:{name}", {"name": name})


@resource("aws:iam/policy:Policy")
def policy(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=128)
    created = request.call(
        "iam", "create_policy",
        PolicyName=name, PolicyDocument=request["policy"], Path=request.get("path"), Tags=request.tag_list(),
    )["Policy"]  # fmt: skip
    return Created(created["Arn"], {"name": name, "arn": created["Arn"], "policyId": created["PolicyId"]})


@resource("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def role_policy_attachment(request: ResourceRequest) -> Created:
    request.call("iam", "attach_role_policy", RoleName=request["role"], PolicyArn=request["policyArn"])
    return Created(f"{request['role']}-{request['policyArn']}")


@resource("aws:iam/openIdConnectProvider:OpenIdConnectProvider")
def open_id_connect_provider(request: ResourceRequest) -> Created:
    arn = request.call(
        "iam", "create_open_id_connect_provider",
        Url=request["url"], ClientIDList=request["clientIdLists"],
        ThumbprintList=request.get("thumbprintLists", []), Tags=request.tag_list(),
    )["OpenIDConnectProviderArn"]  # fmt: skip
    return Created(arn, {"arn": arn})


@function("aws:index/getCallerIdentity:getCallerIdentity")
def caller_identity(request: InvokeRequest) -> dict[str, Any]:
    caller = request.aws.call("sts", "get_caller_identity")
    account = caller["Account"]
    return {"id": account, "accountId": account, "arn": caller["Arn"], "userId": caller["UserId"]}
