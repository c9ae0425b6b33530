"""A secret's policy reaches local AWS, and there it keeps out a role that IAM lets in."""

import json

import pytest
from botocore.exceptions import ClientError

from local.aws.client import ACCOUNT_ID, Credentials, LocalAws
from local.provider.registry import ResourceRequest, resource_handler


def take_role(aws: LocalAws, name: str) -> LocalAws:
    """A role that IAM lets read every secret, and local AWS as that role."""
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    aws.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=trust)
    everything = {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    aws.call("iam", "put_role_policy", RoleName=name, PolicyName="p", PolicyDocument=policy)
    arn = f"arn:aws:iam::{ACCOUNT_ID}:role/{name}"
    given = aws.call("sts", "assume_role", RoleArn=arn, RoleSessionName="test")["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return LocalAws(aws.endpoint_url, aws.region, credentials)


def test_a_role_that_the_secret_does_not_name_writes_it_but_does_not_read_it(
    aws: LocalAws, unique: str
) -> None:
    reader, other = take_role(aws, f"{unique}-reader"), take_role(aws, f"{unique}-other")
    arn = aws.call("secretsmanager", "create_secret", Name=unique, SecretString="s")["ARN"]
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
        "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": [f"arn:aws:iam::{ACCOUNT_ID}:role/{unique}-reader"]}
        },
    }
    kind = "aws:secretsmanager/secretPolicy:SecretPolicy"
    inputs = {"secretArn": arn, "policy": json.dumps({"Version": "2012-10-17", "Statement": [denial]})}
    assert resource_handler(kind)(ResourceRequest(aws, kind, "p", inputs)).id == arn
    assert reader.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"] == "s"
    other.call("secretsmanager", "put_secret_value", SecretId=arn, SecretString="t")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        other.call("secretsmanager", "get_secret_value", SecretId=arn)
    assert reader.call("secretsmanager", "get_secret_value", SecretId=arn)["SecretString"] == "t"
