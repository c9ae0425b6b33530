"""Roles on local AWS may do what their policies say, and nothing else."""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from local.aws.client import ACCOUNT_ID, Credentials, LocalAws

RoleMaker = Callable[..., LocalAws]


@pytest.fixture
def role(aws: LocalAws, unique: str) -> RoleMaker:
    """Makes a role with statements and returns local AWS as that role."""

    def make(*statements: dict[str, object]) -> LocalAws:
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        aws.call("iam", "create_role", RoleName=unique, AssumeRolePolicyDocument=trust)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            aws.call("iam", "put_role_policy", RoleName=unique, PolicyName="p", PolicyDocument=policy)
        arn = f"arn:aws:iam::{ACCOUNT_ID}:role/{unique}"
        given = aws.call("sts", "assume_role", RoleArn=arn, RoleSessionName="test")["Credentials"]
        credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return LocalAws(aws.endpoint_url, aws.region, credentials)

    return make


def allow(action: str, resource: str, **more: object) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def code_of(as_role: LocalAws, service: str, operation: str, **parameters: object) -> str:
    """`ok`, or the code of the error."""
    try:
        as_role.call(service, operation, **parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def new_key(aws: LocalAws) -> str:
    return str(aws.call("kms", "create_key")["KeyMetadata"]["Arn"])


def test_a_secret_is_read_by_the_role_that_may_and_by_no_other(
    aws: LocalAws, role: RoleMaker, unique: str
) -> None:
    ours = aws.call("secretsmanager", "create_secret", Name=f"{unique}-a", SecretString="s")["ARN"]
    other = aws.call("secretsmanager", "create_secret", Name=f"{unique}-b", SecretString="s")["ARN"]
    as_role = role(allow("secretsmanager:GetSecretValue", ours))
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=ours) == "ok"
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=f"{unique}-a") == "ok"
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=other) == "AccessDeniedException"


def test_a_secret_behind_a_key_needs_the_key_too(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    key = new_key(aws)
    secret = aws.call("secretsmanager", "create_secret", Name=unique, SecretString="s", KmsKeyId=key)["ARN"]
    as_role = role(allow("secretsmanager:GetSecretValue", secret))
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=secret) == "AccessDeniedException"
    policy = {"Version": "2012-10-17", "Statement": [allow("secretsmanager:GetSecretValue", secret)]}
    via = {"StringEquals": {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}}
    policy["Statement"] = [*policy["Statement"], allow("kms:Decrypt", key, Condition=via)]
    aws.call("iam", "put_role_policy", RoleName=unique, PolicyName="p", PolicyDocument=json.dumps(policy))
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=secret) == "ok"
    blob = aws.call("kms", "encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code_of(as_role, "kms", "decrypt", CiphertextBlob=blob) == "AccessDeniedException"


def test_table_and_index_are_different_resources(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    names = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "other")]
    index = {
        "IndexName": "gsi1",
        "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    arn = aws.call(
        "dynamodb", "create_table", TableName=unique, AttributeDefinitions=names,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}], GlobalSecondaryIndexes=[index],
    )["TableDescription"]["TableArn"]  # fmt: skip
    as_role = role(allow("dynamodb:Query", arn), allow("dynamodb:PutItem", arn))
    query = {
        "TableName": unique,
        "KeyConditionExpression": "#k = :v",
        "ExpressionAttributeValues": {":v": {"S": "1"}},
    }
    assert code_of(as_role, "dynamodb", "query", **query, ExpressionAttributeNames={"#k": "pk"}) == "ok"
    by_index = {**query, "IndexName": "gsi1", "ExpressionAttributeNames": {"#k": "other"}}
    assert code_of(as_role, "dynamodb", "query", **by_index) == "AccessDeniedException"
    put = {"Put": {"TableName": unique, "Item": {"pk": {"S": "1"}}}}
    delete = {"Delete": {"TableName": unique, "Key": {"pk": {"S": "2"}}}}
    assert code_of(as_role, "dynamodb", "transact_write_items", TransactItems=[put]) == "ok"
    assert (
        code_of(as_role, "dynamodb", "transact_write_items", TransactItems=[put, delete])
        == "AccessDeniedException"
    )


def test_a_table_behind_a_key_needs_the_key_too(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": new_key(aws)}
    aws.call(
        "dynamodb", "create_table", TableName=unique, BillingMode="PAY_PER_REQUEST",
        SSESpecification=encryption,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )  # fmt: skip
    as_role = role(allow("dynamodb:GetItem", "*"))
    read = {"TableName": unique, "Key": {"pk": {"S": "1"}}}
    assert code_of(as_role, "dynamodb", "get_item", **read) == "AccessDeniedException"


def test_a_queue_behind_a_key_is_read_by_the_role_that_may_use_both(
    aws: LocalAws, role: RoleMaker, unique: str
) -> None:
    key = new_key(aws)
    attributes = {"KmsMasterKeyId": key}
    url = aws.call("sqs", "create_queue", QueueName=unique, Attributes=attributes)["QueueUrl"]
    other = aws.call("sqs", "create_queue", QueueName=f"{unique}-other")["QueueUrl"]
    arn = f"arn:aws:sqs:{aws.region}:{ACCOUNT_ID}:{unique}"
    reading = [allow("sqs:ReceiveMessage", arn), allow("sqs:DeleteMessage", arn)]
    as_role = role(*reading)
    assert code_of(as_role, "sqs", "receive_message", QueueUrl=url) == "AccessDeniedException"
    policy = {"Version": "2012-10-17", "Statement": [*reading, allow("kms:Decrypt", key)]}
    aws.call("iam", "put_role_policy", RoleName=unique, PolicyName="p", PolicyDocument=json.dumps(policy))
    assert code_of(as_role, "sqs", "receive_message", QueueUrl=url) == "ok"
    entries = [{"Id": "1", "ReceiptHandle": "none"}]
    assert code_of(as_role, "sqs", "delete_message_batch", QueueUrl=url, Entries=entries) == "ok"
    assert code_of(as_role, "sqs", "receive_message", QueueUrl=other) == "AccessDeniedException"
    assert code_of(as_role, "sqs", "purge_queue", QueueUrl=url) == "AccessDeniedException"


def test_objects_are_allowed_by_their_prefix(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    aws.call("s3", "create_bucket", Bucket=unique)
    as_role = role(allow("s3:PutObject", f"arn:aws:s3:::{unique}/records/*"))
    put = {"Bucket": unique, "Body": b"x"}
    assert code_of(as_role, "s3", "put_object", **put, Key="records/1") == "ok"
    assert code_of(as_role, "s3", "put_object", **put, Key="other/1") == "AccessDenied"
    assert code_of(as_role, "s3", "get_object", Bucket=unique, Key="records/1") == "AccessDenied"


def test_log_streams_are_allowed_by_their_group(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    for name in ("ours", "other"):
        aws.call("logs", "create_log_group", logGroupName=f"/{unique}/{name}")
    group = f"arn:aws:logs:us-east-1:{ACCOUNT_ID}:log-group:/{unique}/ours"
    as_role = role(allow("logs:CreateLogStream", f"{group}:*"))
    ours, other = f"/{unique}/ours", f"/{unique}/other"
    assert code_of(as_role, "logs", "create_log_stream", logGroupName=ours, logStreamName="s") == "ok"
    denied = code_of(as_role, "logs", "create_log_stream", logGroupName=other, logStreamName="s")
    assert denied == "AccessDeniedException"


def test_a_role_without_policies_may_only_ask_who_it_is(role: RoleMaker) -> None:
    as_role = role()
    assert code_of(as_role, "sts", "get_caller_identity") == "ok"
    assert code_of(as_role, "ec2", "describe_vpcs") != "ok"
    assert code_of(as_role, "elasticache", "describe_users") == "AccessDenied"


def test_any_key_that_is_no_roles_is_the_accounts_root(aws: LocalAws) -> None:
    someone = LocalAws(aws.endpoint_url, aws.region, Credentials("AKIAANYONE", "any"))
    assert code_of(someone, "ec2", "describe_vpcs") == "ok"


def test_a_role_stays_within_its_boundary(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    as_role = role(allow("secretsmanager:*", "*"))
    secret = aws.call("secretsmanager", "create_secret", Name=unique, SecretString="s")["ARN"]
    assert code_of(as_role, "secretsmanager", "delete_secret", SecretId=secret) == "ok"
    aws.call("secretsmanager", "restore_secret", SecretId=secret)
    boundary = {"Version": "2012-10-17", "Statement": [allow("secretsmanager:GetSecretValue", "*")]}
    policy = aws.call("iam", "create_policy", PolicyName=unique, PolicyDocument=json.dumps(boundary))
    arn = policy["Policy"]["Arn"]
    aws.call("iam", "put_role_permissions_boundary", RoleName=unique, PermissionsBoundary=arn)
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=secret) == "ok"
    assert code_of(as_role, "secretsmanager", "delete_secret", SecretId=secret) == "AccessDeniedException"


def test_an_attached_policy_counts_like_an_inline_one(aws: LocalAws, role: RoleMaker, unique: str) -> None:
    as_role = role()
    secret = aws.call("secretsmanager", "create_secret", Name=unique, SecretString="s")["ARN"]
    document = {"Version": "2012-10-17", "Statement": [allow("secretsmanager:GetSecretValue", "*")]}
    policy = aws.call("iam", "create_policy", PolicyName=unique, PolicyDocument=json.dumps(document))[
        "Policy"
    ]
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=secret) == "AccessDeniedException"
    aws.call("iam", "attach_role_policy", RoleName=unique, PolicyArn=policy["Arn"])
    assert code_of(as_role, "secretsmanager", "get_secret_value", SecretId=secret) == "ok"
