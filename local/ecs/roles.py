"""Credentials of the task's and the execution role, given only where the role trusts ECS."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local.aws.client import ACCOUNT_ID, Credentials, LocalAws
from local.aws.policy import AccessRequest, is_allowed, statements_of

ECS_TASKS = "ecs-tasks.amazonaws.com"


class RoleNotTrustedError(Exception):
    """The role's trust policy does not let ECS tasks assume it."""


@dataclass(frozen=True)
class RoleCredentials:
    """Temporary credentials of a role."""

    role_arn: str
    credentials: Credentials
    expires_at: datetime.datetime


def assume_for_task(aws: LocalAws, role_arn: str, session_name: str) -> RoleCredentials:
    """Assumes a role as ECS does. Raises RoleNotTrustedError."""
    role = aws.call("iam", "get_role", RoleName=role_arn.rpartition("/")[2])["Role"]
    if not trusts_ecs_tasks(_document(role["AssumeRolePolicyDocument"]), role_arn, aws.region):
        raise RoleNotTrustedError(f"{role_arn} does not trust {ECS_TASKS} in its assume role policy")
    given = aws.call("sts", "assume_role", RoleArn=role_arn, RoleSessionName=session_name)["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return RoleCredentials(role_arn, credentials, given["Expiration"])


def trusts_ecs_tasks(trust_policy: Mapping[str, Any], role_arn: str, region: str) -> bool:
    """Whether ECS, acting for a task of this account and region, may assume the role."""
    context = {
        "aws:SourceAccount": ACCOUNT_ID,
        "aws:SourceArn": f"arn:aws:ecs:{region}:{ACCOUNT_ID}:*",
    }
    statements = [
        {**statement, "Resource": "*"}
        for statement in statements_of(trust_policy)
        if ECS_TASKS in _services(statement.get("Principal", {}))
    ]
    return is_allowed(statements, AccessRequest("sts:AssumeRole", role_arn, context))


def _services(principal: Any) -> list[str]:
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return services if isinstance(services, list) else [services]


def _document(policy: Any) -> Mapping[str, Any]:
    """boto3 decodes a policy document where it can."""
    if isinstance(policy, str):
        decoded: dict[str, Any] = json.loads(unquote(policy))
        return decoded
    return dict(policy)
