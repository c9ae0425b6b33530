"""Who looks at a stack and who changes it: what they may do by pattern, and why; who becomes them; and what
bounds every other role."""

import json
from collections.abc import Mapping
from typing import Any

from policy.resource import Graph, Resource, default_tags, of_type

GITHUB = "token.actions.githubusercontent.com"

# Names that Pulumi makes up are not known beforehand, so a deployer manages whole services, in one region.
_MANAGED = "the stack's resources of this service get their names while they are made; one region only"
_READ = "a preview and a drift check read every resource's configuration; nothing that is stored in it"

DEPLOYER = "access-deployer"
READER = "access-reader"

READ_PATTERNS = (
    *("application-autoscaling:Describe*", "cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"),
    *("dynamodb:Describe*", "ec2:Describe*", "ecr:Describe*", "ecs:Describe*", "ecs:List*"),
    *("elasticache:Describe*", "elasticloadbalancing:Describe*", "events:List*", "iam:Get*", "iam:List*"),
    *("logs:Describe*", "route53:List*", "s3:GetBucket*", "scheduler:List*", "sns:Get*", "wafv2:Get*"),
    "wafv2:List*",
)
MANAGED_SERVICES = (
    *("acm", "application-autoscaling", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elasticache"),
    *("elasticloadbalancing", "events", "kms", "logs", "s3", "scheduler", "sns", "sqs", "wafv2"),
)

PATTERNS: Mapping[str, Mapping[str, str]] = {
    READER: dict.fromkeys(READ_PATTERNS, _READ),
    DEPLOYER: dict.fromkeys([f"{service}:*" for service in MANAGED_SERVICES], _MANAGED),
}
"""Policy's name -> pattern -> reason. The deployer reads what the reader reads."""

READING = ("Describe", "Get", "List", "View")
"""How an action begins that only reads; what it must not read is denied, which is looked at below."""

UNREADABLE = {
    *("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:PartiQLSelect"),
    *("dynamodb:Query", "dynamodb:Scan", "s3:GetObject", "s3:GetObjectVersion"),
    "secretsmanager:GetSecretValue",
    # These write, and answer with what was there.
    *("dynamodb:DeleteItem", "dynamodb:PartiQLDelete", "dynamodb:PartiQLUpdate", "dynamodb:PutItem"),
    "dynamodb:UpdateItem",
}
UNCOPIED = {
    *("dynamodb:ExportTableToPointInTime", "dynamodb:PutResourcePolicy"),
    *("dynamodb:RestoreTableFromAwsBackup", "dynamodb:RestoreTableFromBackup"),
    *("dynamodb:RestoreTableToPointInTime", "elasticache:CopySnapshot", "s3:CreateAccessPoint"),
}
SEEDED = "vault-cache"
"""The secret that a deployer reads: seeding sets the cache's user to what it holds."""


def has_reason(policy: Resource, pattern: str) -> bool:
    """Whether a policy may allow actions by `pattern`."""
    known = PATTERNS.get(policy.name, {})
    return pattern in known or (policy.name == DEPLOYER and pattern in PATTERNS[READER])


def bounded_by_region(statement: Mapping[str, Any]) -> bool:
    """Whether a statement allows in named regions only."""
    regions = statement.get("Condition", {}).get("StringEquals", {}).get("aws:RequestedRegion")
    return bool(regions) and "*" not in str(regions)


def may_be_unscoped(policy: Resource, statement: Mapping[str, Any], action: str) -> bool:
    """Whether one of the operators' policies may allow `action` on every resource."""
    if policy.name not in PATTERNS:
        return False
    return action.partition(":")[2].startswith(READING) or bounded_by_region(statement)


def is_boundary(graph: Graph, policy: Resource) -> bool:
    """Whether a policy serves as a boundary, which grants nothing."""
    return policy.type == "aws:iam/policy:Policy" and any(
        role.get("permissionsBoundary") == policy.get("arn") for role in of_type(graph, "iam/role:Role")
    )


def roles_are_bounded(graph: Graph) -> list[str]:
    """Every role but the operators' has a boundary of this stack, which lets nobody make rights."""
    policies = {policy.get("arn"): policy for policy in of_type(graph, "iam/policy:Policy")}
    found = []
    for role in of_type(graph, "iam/role:Role"):
        if role.name not in PATTERNS and role.get("permissionsBoundary") not in policies:
            found.append(f"{role} has no boundary")
    for policy in policies.values():
        if not is_boundary(graph, policy):
            continue
        for statement in json.loads(policy.get("policy"))["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            actions = statement["Action"]
            rights = [a for a in actions if a.startswith(("iam:", "sts:", "organizations:", "*"))]
            if rights == ["iam:PassRole"] and "iam:PassedToService" in json.dumps(statement):
                continue
            if rights:
                found.append(f"{policy} lets a role make rights: {', '.join(rights)}")
            elif not bounded_by_region(statement):
                found.append(f"{policy} lets a role act in every region")
        if not _shuts_out_workflows(policy):
            found.append(f"{policy} lets a role act for a workflow")
    return found


def workflows_are_known(graph: Graph) -> list[str]:
    """A role taken from outside AWS names the repository; one that deploys, also main and the environment."""
    tags = next(iter(default_tags(graph).values()), {})
    repository, environment = tags.get("repository"), tags.get("environment")
    found = []
    for role in of_type(graph, "iam/role:Role"):
        for statement in json.loads(role.get("assumeRolePolicy"))["Statement"]:
            if "Federated" not in statement.get("Principal", {}):
                continue
            condition = statement.get("Condition", {})
            claims = condition.get("StringEquals", {})
            subjects = claims.get(f"{GITHUB}:sub") or []
            subjects = [subjects] if isinstance(subjects, str) else subjects
            if claims.get(f"{GITHUB}:aud") != "sts.amazonaws.com" or set(condition) != {"StringEquals"}:
                found.append(f"{role} may be taken with a token made for something else")
            if not subjects or any(not subject.startswith(f"repo:{repository}:") for subject in subjects):
                found.append(f"{role} may be taken from another repository than {repository}")
            if role.name == READER:
                continue
            if subjects != [f"repo:{repository}:environment:{environment}"]:
                found.append(f"{role} may be taken outside GitHub's environment {environment}")
            if claims.get(f"{GITHUB}:ref") != "refs/heads/main":
                found.append(f"{role} may be taken from a branch that is not main")
    return found


def operators_do_not_read_data(graph: Graph) -> list[str]:
    """Table, buckets and secrets are denied to who operates them, so are copies and the roles that may read
    them, and the deployer cannot change its own rights. What it deploys may read: that is for reviewers."""
    kept = {str(table.get("arn")) for table in of_type(graph, "dynamodb/table:Table")}
    kept |= {f"{bucket.get('arn')}/*" for bucket in of_type(graph, "s3/bucket:Bucket")}
    secrets = of_type(graph, "secretsmanager/secret:Secret")
    kept |= {str(secret.get("arn")) for secret in secrets if secret.name != SEEDED}
    roles = {str(role.get("arn")) for role in of_type(graph, "iam/role:Role") if role.name in PATTERNS}
    found = []
    for policy in _operators(graph):
        if readable := UNREADABLE - _denied(policy, kept):
            found.append(f"{policy} lets data be read: {', '.join(sorted(readable))}")
        if copied := UNCOPIED - _denied(policy, {"*"}):
            found.append(f"{policy} lets data be copied: {', '.join(sorted(copied))}")
        if "sts:AssumeRole" not in _denied(policy, {"*"}):
            found.append(f"{policy} lets its role become another")
        own = _denied(policy, roles)
        if policy.name == DEPLOYER and not own >= {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"}:
            found.append(f"{policy} lets the deployer change its own rights")
    return found


def operators_enter_no_task(graph: Graph) -> list[str]:
    """A shell in a task has the gateway's rights, so who looks at a stack or deploys it opens none."""
    return [
        f"{policy} lets its role into tasks"
        for policy in _operators(graph)
        if "ecs:ExecuteCommand" not in _denied(policy, {"*"})
    ]


def _operators(graph: Graph) -> list[Resource]:
    return [policy for policy in of_type(graph, "iam/rolePolicy:RolePolicy") if policy.name in PATTERNS]


def _denied(policy: Resource, resources: set[str]) -> set[str]:
    """The actions that a policy denies on all of `resources` without a condition."""
    return {
        action
        for statement in json.loads(policy.get("policy"))["Statement"]
        if statement["Effect"] == "Deny" and "Condition" not in statement
        if resources <= set(statement["Resource"])
        for action in statement["Action"]
    }


def _shuts_out_workflows(boundary: Resource) -> bool:
    """Whether a boundary denies everything to a session that began with a token from outside AWS."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Action"] == statement["Resource"] == ["*"]
        and statement.get("Condition") == {"Null": {"aws:FederatedProvider": "false"}}
        for statement in json.loads(boundary.get("policy"))["Statement"]
    )
