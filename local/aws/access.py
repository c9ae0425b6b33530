"""What a request to AWS asks leave for: each action and resource that its caller's role must allow.

Resource types per action are those of the service authorization reference. A request on something encrypted
with a customer key also needs the key, as on AWS, where the service calls KMS in the caller's name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.aws.policy import AccessRequest

IAM_PREFIXES = {"monitoring": "cloudwatch", "email": "ses"}
"""Signing name -> prefix of the service's actions, where the two differ."""

TRANSACTION_ACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem",
                       "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """A call to an AWS API. service: the signing name. resource: the ARN, where moto knows it.
    principal_arn: of the role that calls."""

    service: str
    operation: str
    region: str
    account: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resource: str | None = None
    principal_arn: str = ""


def needed(call: Call) -> list[AccessRequest]:
    """The action and resource pairs that must all be allowed."""
    prefix = IAM_PREFIXES.get(call.service, call.service)
    action = f"{prefix}:{call.operation}"
    if call.service == "dynamodb":
        return _dynamodb(call, action)
    if call.service == "sqs" and (url := call.parameters.get("QueueUrl")):
        return [_request(call, action.removesuffix("Batch"), _arn(call, "sqs", url.rpartition("/")[2]))]
    if call.service == "logs" and (group := call.parameters.get("logGroupName")):
        stream = call.parameters.get("logStreamName")
        suffix = f"log-stream:{stream}" if stream else ""
        return [_request(call, action, _arn(call, "logs", f"log-group:{group}:{suffix}"))]
    if call.service == "ecr" and (repository := call.parameters.get("repositoryName")):
        return [_request(call, action, _arn(call, "ecr", f"repository/{repository}"))]
    if call.service == "ssm" and (name := call.parameters.get("Name")):
        return [_request(call, action, _arn(call, "ssm", f"parameter/{name.lstrip('/')}"))]
    return [_request(call, action, call.resource or "*")]


def needed_key(call: Call, operation: str, key_arn: str) -> AccessRequest:
    """Leave to use a customer key through the called service."""
    via = {"kms:ViaService": f"{call.service}.{call.region}.amazonaws.com"}
    return AccessRequest(f"kms:{operation}", key_arn, {**_context(call), **via})


def tables_of(call: Call) -> set[str]:
    """The names of the DynamoDB tables that a call touches."""
    return {re.sub(r".*:table/([^/]+).*", r"\1", request.resource) for request in needed(call)} - {"*"}


def _dynamodb(call: Call, action: str) -> list[AccessRequest]:
    given = call.parameters
    if items := given.get("TransactItems"):
        return [
            _request(call, f"dynamodb:{TRANSACTION_ACTIONS[kind]}", _table(call, item["TableName"]))
            for entry in items
            for kind, item in entry.items()
        ]
    if tables := given.get("RequestItems"):
        return [_request(call, action, _table(call, table)) for table in tables]
    if name := given.get("TableName"):
        index = given.get("IndexName")
        return [_request(call, action, _table(call, name) + (f"/index/{index}" if index else ""))]
    return [_request(call, action, "*")]


def _table(call: Call, name_or_arn: str) -> str:
    return name_or_arn if name_or_arn.startswith("arn:") else _arn(call, "dynamodb", f"table/{name_or_arn}")


def _arn(call: Call, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{call.account}:{resource}"


def _request(call: Call, action: str, resource: str) -> AccessRequest:
    return AccessRequest(action, resource, _context(call))


def _context(call: Call) -> dict[str, str]:
    return {
        "aws:RequestedRegion": call.region,
        "aws:PrincipalAccount": call.account,
        "aws:PrincipalArn": call.principal_arn,
        "aws:ResourceAccount": call.account,
        "aws:SecureTransport": "true",
        "aws:SourceIp": "127.0.0.1",
    }
