"""ECR repositories, and the token that a build pushes with."""

import base64
from typing import Any

from local.provider.registry import Created, InvokeRequest, ResourceRequest, function, resource


@resource("aws:ecr/repository:Repository")
def repository(request: ResourceRequest) -> Created:
    name = request.physical_name()
    scanning = request.get("imageScanningConfiguration")
    encryption = (request.get("encryptionConfigurations") or [None])[0]
    created = request.call(
        "ecr", "create_repository",
        repositoryName=name, imageTagMutability=request.get("imageTagMutability"),
        imageScanningConfiguration=scanning and {"scanOnPush": scanning["scanOnPush"]},
        encryptionConfiguration=encryption and {k: encryption[k] for k in encryption if encryption[k]},
        tags=request.tag_list(),
    )["repository"]  # fmt: skip
    outputs = {
        "name": name,
        "arn": created["repositoryArn"],
        "registryId": created["registryId"],
        "repositoryUrl": created["repositoryUri"],
    }
    return Created(name, outputs)


@resource("aws:ecr/lifecyclePolicy:LifecyclePolicy")
def lifecycle_policy(request: ResourceRequest) -> Created:
    name = request["repository"]
    answer = request.call(
        "ecr", "put_lifecycle_policy", repositoryName=name, lifecyclePolicyText=request["policy"]
    )
    return Created(name, {"registryId": answer["registryId"]})


@function("aws:ecr/getAuthorizationToken:getAuthorizationToken")
def authorization_token(request: InvokeRequest) -> dict[str, Any]:
    given = request.aws.call("ecr", "get_authorization_token")["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    return {
        "id": request.aws.region,
        "authorizationToken": given["authorizationToken"],
        "userName": user,
        "password": password,
        "proxyEndpoint": given["proxyEndpoint"],
        "expiresAt": given["expiresAt"].isoformat(),
    }
