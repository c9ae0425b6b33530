"""Secrets Manager secrets, without values (the program never knows one), and who may read them."""

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:secretsmanager/secret:Secret")
def secret(request: ResourceRequest) -> Created:
    name = request.physical_name()
    created = request.call(
        "secretsmanager", "create_secret",
        Name=name, Description=request.get("description"), KmsKeyId=request.get("kmsKeyId"),
        Tags=request.tag_list(),
    )  # fmt: skip
    if policy := request.get("policy"):
        request.call("secretsmanager", "put_resource_policy", SecretId=created["ARN"], ResourcePolicy=policy)
    return Created(created["ARN"], {"arn": created["ARN"], "name": name})


@resource("aws:secretsmanager/secretPolicy:SecretPolicy")
def secret_policy(request: ResourceRequest) -> Created:
    arn = request["secretArn"]
    request.call("secretsmanager", "put_resource_policy", SecretId=arn, ResourcePolicy=request["policy"])
    return Created(arn)
