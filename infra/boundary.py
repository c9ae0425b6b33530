"""The most that any role of the stack may ever do, whatever its own policy says.

Whoever can make roles can otherwise make one that may do everything, and take it. The deployer may make roles
only with this boundary (IAM user guide, "Permissions boundaries for IAM entities").
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import allow, document

ROLE = "aws:iam/role:Role"

WORKLOAD_ACTIONS = (
    *("cloudwatch:PutMetricData", "dynamodb:*", "ecr:*", "ecs:RunTask", "kms:Decrypt", "kms:DescribeKey"),
    *(
        "kms:GenerateDataKey",
        "logs:*",
        "s3:*",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
    ),
    *("sns:Publish", "sqs:DeleteMessage", "sqs:ReceiveMessage", "sqs:SendMessage", "ssmmessages:*"),
    "xray:PutTraceSegments",
)
"""What workloads of this kind do. It grants nothing: a role may do what this and its own policy allow."""


@dataclass(frozen=True)
class BoundaryArgs:
    """region: the only one in which the stack's roles act."""

    region: str


class Boundary(pulumi.ComponentResource):
    """A policy for the boundary of every role: no IAM, no other region, only the services of a workload."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: BoundaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Boundary", name, None, opts)
        policy = aws.iam.Policy(
            name,
            description="The most that a role of this stack may do",
            policy=document(
                allow(
                    "WorkloadsOfThisRegion",
                    WORKLOAD_ACTIONS,
                    ["*"],
                    {"StringEquals": {"aws:RequestedRegion": args.region}},
                ),
                # A schedule starts tasks, and hands their roles over for that.
                allow(
                    "StartTasks",
                    ["iam:PassRole"],
                    ["*"],
                    {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
                ),
                # Whoever writes a role's trust could let a workflow's token in, as a deployer's own is.
                {
                    "Sid": "NotForWorkflows",
                    "Effect": "Deny",
                    "Action": ["*"],
                    "Resource": ["*"],
                    "Condition": {"Null": {"aws:FederatedProvider": "false"}},
                },
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = policy.arn
        self.register_outputs({"arn": self.arn})


def role_path(name_prefix: str) -> str:
    """Where the stack's own roles are; the deployer manages and hands over roles of this path only."""
    return f"/{name_prefix}/"


def bounding(boundary_arn: pulumi.Input[str], path: str) -> pulumi.ResourceTransformation:
    """Gives every role below a component the boundary and the path, so that none can be forgotten."""

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if args.type_ != ROLE:
            return None
        props = {**args.props, "permissions_boundary": boundary_arn, "path": path}
        return pulumi.ResourceTransformationResult(props, args.opts)

    return transform
