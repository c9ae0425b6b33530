"""Least privilege: policies name their actions and resources; each exception stands here with its reason."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policy.operators import has_reason, is_boundary, may_be_unscoped
from policy.resource import Graph, Resource, of_type

# Actions that AWS grants on no single resource (Service Authorization Reference), with the reason.
UNSCOPED_ACTIONS = {
    "ecr:GetAuthorizationToken": "the token opens the account's registry; the action takes no resource",
}

POLICIES = {
    "iam/role:Role": "assumeRolePolicy",
    "iam/rolePolicy:RolePolicy": "policy",
    "iam/policy:Policy": "policy",
    "kms/key:Key": "policy",
    "s3/bucketPolicy:BucketPolicy": "policy",
    "secretsmanager/secretPolicy:SecretPolicy": "policy",
    "ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "sns/topicPolicy:TopicPolicy": "policy",
    "sqs/queuePolicy:QueuePolicy": "policy",
    "cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
}


def no_wildcard_action(graph: Graph) -> list[str]:
    """No policy allows actions by pattern, but a key's own, which must let the account manage it, and the
    operators', whose patterns are listed with a reason."""
    found = []
    for resource, statement in _allowing(graph):
        if "NotAction" in statement:
            found.append(f"{resource}, {_sid(statement)}: allows whatever NotAction does not name")
        patterns = [
            action
            for action in _texts(statement.get("Action"))
            if ("*" in action or "?" in action) and not has_reason(resource, action)
        ]
        if is_boundary(graph, resource):
            continue
        if patterns and not _is_the_account_managing_its_key(resource, statement):
            found.append(f"{resource}, {_sid(statement)}: allows {', '.join(patterns)}; name the actions")
    return found


def every_wildcard_resource_has_a_reason(graph: Graph) -> list[str]:
    """`*` as a resource is for actions that UNSCOPED_ACTIONS explains. In a key's policy it is the key."""
    found = []
    for resource, statement in _allowing(graph):
        if "NotResource" in statement:
            found.append(f"{resource}, {_sid(statement)}: allows whatever NotResource does not name")
        if resource.type == "aws:kms/key:Key" or not any(map(_is_wild, _texts(statement.get("Resource")))):
            continue
        if is_boundary(graph, resource):
            continue
        unexplained = [
            a
            for a in _texts(statement.get("Action"))
            if a not in UNSCOPED_ACTIONS and not may_be_unscoped(resource, statement, a)
        ]
        if unexplained:
            found.append(f"{resource}, {_sid(statement)}: allows {', '.join(unexplained)} on every resource")
    return found


def nobody_is_everybody(graph: Graph) -> list[str]:
    """No policy lets in whoever comes along."""
    return [
        f"{resource}, {_sid(statement)}: allows everybody"
        for resource, statement in _allowing(graph)
        if "*" in _principals(statement.get("Principal", {})) or "NotPrincipal" in statement
    ]


def services_act_for_this_account_only(graph: Graph) -> list[str]:
    """A role that an AWS service takes names the account it takes it for."""
    found = []
    for role in of_type(graph, "iam/role:Role"):
        for statement in _statements(role):
            services = "Service" in statement.get("Principal", {})
            conditions = json.dumps(statement.get("Condition", {}))
            if services and "aws:SourceAccount" not in conditions and "aws:SourceArn" not in conditions:
                found.append(f"{role}, {_sid(statement)}: may be taken on behalf of another account")
    return found


def buckets_are_private(graph: Graph) -> list[str]:
    """Every bucket blocks public access, has no ACLs, and refuses plain HTTP."""
    found = []
    for bucket in of_type(graph, "s3/bucket:Bucket"):
        name = bucket.get("bucket")
        blocks = _settings(graph, "s3/bucketPublicAccessBlock:BucketPublicAccessBlock", name)
        owners = _settings(graph, "s3/bucketOwnershipControls:BucketOwnershipControls", name)
        flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        if not any(all(block.get(flag) is True for flag in flags) for block in blocks):
            found.append(f"{bucket} does not block public access")
        if not any(owner.get("rule", "objectOwnership") == "BucketOwnerEnforced" for owner in owners):
            found.append(f"{bucket} still takes access control lists")
        if not any(map(_refuses_plain_http, _settings(graph, "s3/bucketPolicy:BucketPolicy", name))):
            found.append(f"{bucket} may be used without TLS")
    return found


def _settings(graph: Graph, kind: str, bucket: str) -> list[Resource]:
    return [settings for settings in of_type(graph, kind) if settings.get("bucket") == bucket]


def _refuses_plain_http(policy: Resource) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement.get("Principal") == "*"
        and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
        for statement in _statements(policy)
    )


def _allowing(graph: Graph) -> Iterator[tuple[Resource, Mapping[str, Any]]]:
    for resource in of_type(graph, *POLICIES):
        for statement in _statements(resource):
            if statement["Effect"] == "Allow":
                yield resource, statement


def _statements(resource: Resource) -> list[Mapping[str, Any]]:
    document = json.loads(resource.get(POLICIES[resource.type.removeprefix("aws:")]) or '{"Statement": []}')
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _is_the_account_managing_its_key(resource: Resource, statement: Mapping[str, Any]) -> bool:
    principals = _principals(statement.get("Principal", {}))
    return (
        resource.type == "aws:kms/key:Key"
        and bool(principals)
        and all(p.endswith(":root") for p in principals)
    )


def _is_wild(arn: str) -> bool:
    """Whether an ARN's resource begins with a wildcard, so that it bounds nothing."""
    return arn == "*" or arn.split(":", 5)[-1].startswith("*")


def _principals(principal: Any) -> list[str]:
    if isinstance(principal, str):
        return [principal]
    return [text for value in principal.values() for text in _texts(value)]


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _sid(statement: Mapping[str, Any]) -> str:
    return str(statement.get("Sid", "a statement without Sid"))
