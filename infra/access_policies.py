"""What the reader and the deployer may do, statement by statement.

Resources get their names from Pulumi while they are made, so a deployer's rights cannot name them. They are
bound by service and region, roles by their path and boundary; the stack's data is denied to both. `policy/`
lists every action that is named by a pattern, with the reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.iam import Statement, allow

DEPLOYED_SERVICES = (
    *("acm", "application-autoscaling", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "elasticache"),
    *("elasticloadbalancing", "events", "kms", "logs", "s3", "scheduler", "sns", "sqs", "wafv2"),
)
"""Services whose regional resources the stack is made of."""

SECRET_ACTIONS = (
    *("CreateSecret", "DeleteResourcePolicy", "DeleteSecret", "DescribeSecret", "GetResourcePolicy"),
    *("ListSecretVersionIds", "PutResourcePolicy", "PutSecretValue", "RestoreSecret", "TagResource"),
    *("UntagResource", "UpdateSecret", "ValidateResourcePolicy"),
)
"""All of Secrets Manager that a deployment needs; reading values is not among it."""

READ_ACTIONS = (
    *("acm:DescribeCertificate", "acm:ListTagsForCertificate", "application-autoscaling:Describe*"),
    *("application-autoscaling:ListTagsForResource", "budgets:ListTagsForResource", "budgets:ViewBudget"),
    *("cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "dynamodb:Describe*"),
    *("dynamodb:ListTagsOfResource", "ec2:Describe*", "ecr:Describe*", "ecr:GetAuthorizationToken"),
    *("ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource", "ecs:Describe*"),
    *("ecs:List*", "elasticache:Describe*", "elasticache:ListTagsForResource"),
    *("elasticloadbalancing:Describe*", "events:DescribeRule", "events:List*", "iam:Get*", "iam:List*"),
    *("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases"),
    *("kms:ListResourceTags", "logs:Describe*", "logs:ListTagsForResource", "route53:GetChange"),
    *("route53:GetHostedZone", "route53:List*", "s3:GetAccelerateConfiguration", "s3:GetBucket*"),
    *("s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration"),
    *("s3:ListTagsForResource", "scheduler:GetSchedule", "scheduler:List*", "secretsmanager:DescribeSecret"),
    *("secretsmanager:GetResourcePolicy", "sns:Get*", "sns:ListTagsForResource", "sqs:GetQueueAttributes"),
    *("sqs:ListQueueTags", "wafv2:Get*", "wafv2:List*"),
)
"""The configuration of resources, never what is in them."""

DATA_ACTIONS = (
    *("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem"),
    *("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:PartiQLDelete"),
    *("dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate", "dynamodb:PutItem"),
    *("dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem", "s3:GetObject", "s3:GetObjectVersion"),
    "secretsmanager:GetSecretValue",
)
"""What reads items, objects and secrets. A write of an item can answer with what was there."""

COPY_ACTIONS = (
    *("dynamodb:ExportTableToPointInTime", "dynamodb:PutResourcePolicy"),
    *("dynamodb:RestoreTableFromAwsBackup", "dynamodb:RestoreTableFromBackup"),
    *("dynamodb:RestoreTableToPointInTime", "elasticache:CopySnapshot", "s3:CreateAccessPoint"),
)
"""What makes data readable under another name, which no other denial knows."""

SERVICE_LINKED = (
    *("autoscaling.amazonaws.com", "ecs.amazonaws.com", "ecs.application-autoscaling.amazonaws.com"),
    *("elasticache.amazonaws.com", "elasticloadbalancing.amazonaws.com", "wafv2.amazonaws.com"),
)
"""Services that make a role of their own in an account that uses them for the first time."""

RIGHTS_ACTIONS = (
    *("AttachRolePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "DeleteRole"),
    *("DeleteRolePermissionsBoundary", "DeleteRolePolicy", "DetachRolePolicy", "PassRole"),
    *("PutRolePermissionsBoundary", "PutRolePolicy", "SetDefaultPolicyVersion", "TagRole", "UntagRole"),
    *("UpdateAssumeRolePolicy", "UpdateRole", "UpdateRoleDescription"),
)
"""What would change a role's or the boundary's meaning."""

TAKERS = ("ecs-tasks.amazonaws.com", "scheduler.amazonaws.com", "vpc-flow-logs.amazonaws.com")
"""Services that the deployer hands the stack's roles to."""


@dataclass(frozen=True)
class Reach:
    """What the roles are about. role_path: where the stack's own roles are, with a slash at both ends.
    closed_secret_arns: of the secrets that no operator reads; a deployment seeds the cache's."""

    region: str
    role_path: str
    account_id: pulumi.Input[str]
    boundary_arn: pulumi.Input[str]
    repository_arn: pulumi.Input[str]
    table_arn: pulumi.Input[str]
    bucket_arns: Sequence[pulumi.Input[str]]
    cache_secret_arn: pulumi.Input[str]
    closed_secret_arns: Sequence[pulumi.Input[str]]


def reader_statements(reach: Reach) -> list[Statement]:
    """Look at every resource's configuration, and fetch the images, which production is promoted from."""
    return [
        allow("SeeConfiguration", READ_ACTIONS, ["*"]),
        # A preview asks whether a bucket is there, for which S3 has no other right (API, HeadBucket). It
        # shows the names of objects too.
        allow("SeeBuckets", ["s3:ListBucket"], reach.bucket_arns),
        allow(
            "FetchImages",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [reach.repository_arn],
        ),
        *_denials(reach),
    ]


def deployer_statements(reach: Reach, own_role_arns: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """Make, change and remove what the stack is made of, but neither read its data nor widen any rights."""
    account = pulumi.Output.from_input(reach.account_id)
    roles = pulumi.Output.concat("arn:aws:iam::", account, ":role", reach.role_path, "*")
    in_region = {"StringEquals": {"aws:RequestedRegion": reach.region}}
    return [
        allow("ManageTheRegion", [f"{service}:*" for service in DEPLOYED_SERVICES], ["*"], in_region),
        allow("SeeConfiguration", READ_ACTIONS, ["*"]),
        allow("ManageSecrets", [f"secretsmanager:{action}" for action in SECRET_ACTIONS], ["*"], in_region),
        # Seeding sets the cache's user to what the secret holds.
        allow("SeedTheCache", ["secretsmanager:GetSecretValue"], [reach.cache_secret_arn]),
        allow("NameTheService", ["route53:ChangeResourceRecordSets"], ["arn:aws:route53:::hostedzone/*"]),
        allow(
            "WatchSpending",
            ["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"],
            [pulumi.Output.concat("arn:aws:budgets::", account, ":budget/*")],
        ),
        allow(
            "MakeBoundedRoles",
            ["iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"],
            [roles],
            {"StringEquals": {"iam:PermissionsBoundary": reach.boundary_arn}},
        ),
        allow(
            "ManageOurRoles",
            [
                *("iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole"),
                *("iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"),
            ],
            [roles],
        ),
        allow(
            "HandOverRoles",
            ["iam:PassRole"],
            [roles],
            {"StringEquals": {"iam:PassedToService": list(TAKERS)}},
        ),
        allow(
            "LetServicesMakeTheirRoles",
            ["iam:CreateServiceLinkedRole"],
            [pulumi.Output.concat("arn:aws:iam::", account, ":role/aws-service-role/*")],
            {"StringEquals": {"iam:AWSServiceName": list(SERVICE_LINKED)}},
        ),
        {
            "Sid": "KeepsItsOwnRights",
            "Effect": "Deny",
            "Action": [f"iam:{action}" for action in RIGHTS_ACTIONS],
            "Resource": [*own_role_arns, reach.boundary_arn],
        },
        *_denials(reach),
    ]


def _denials(reach: Reach) -> list[Statement]:
    """Prompts, answers, keys and usage are the gateway's: nothing allowed elsewhere, be it by the policy of a
    resource, reaches past these. Inside a task, or as another role, one has that role's rights; who may enter
    or take one is for a person's role to say."""
    return [
        {
            "Sid": "DataStaysUnread",
            "Effect": "Deny",
            "Action": list(DATA_ACTIONS),
            "Resource": [
                reach.table_arn,
                pulumi.Output.concat(reach.table_arn, "/*"),
                *(pulumi.Output.concat(arn, "/*") for arn in reach.bucket_arns),
                *reach.closed_secret_arns,
            ],
        },
        _never("DataStaysOne", COPY_ACTIONS),
        _never("RolesStayApart", ["sts:AssumeRole"]),
        _never("TasksStayShut", ["ecs:ExecuteCommand"]),
    ]


def _never(sid: str, actions: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": ["*"]}
