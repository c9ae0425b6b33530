"""Secrets Manager secrets, without values (the program never knows one), and who may read them."""

from local.provider.registry import Created, RemovalRequest, ResourceRequest, removal, resource


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


@removal("aws:secretsmanager/secret:Secret")
def remove_secret(request: RemovalRequest) -> None:
    """It keeps its name until the recovery window is over; without a window it is gone at once."""
    days = request.inputs.get("recoveryWindowInDays", 30)
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    request.aws.call("secretsmanager", "delete_secret", SecretId=request.id, **how)


@resource("aws:secretsmanager/secretPolicy:SecretPolicy")
def secret_policy(request: ResourceRequest) -> Created:
    arn = request["secretArn"]
    request.call("secretsmanager", "put_resource_policy", SecretId=arn, ResourcePolicy=request["policy"])
    return Created(arn)
