"""What the gateway's tasks may do on AWS, and what ECS may do to start them."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, allow, document, trust
from infra.storage import RECORDS_PREFIX

PRINCIPAL = "ecs-tasks.amazonaws.com"


@dataclass(frozen=True)
class RolesArgs:
    """ARNs of everything a task touches."""

    account_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    repository_arn: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    pepper_secret_arn: pulumi.Input[str]
    openai_secret_arn: pulumi.Input[str]
    cache_secret_arn: pulumi.Input[str]
    table_arn: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    alert_topic_arn: pulumi.Input[str]
    knowledge_queue_arn: pulumi.Input[str]


class Roles(pulumi.ComponentResource):
    """The execution role, with which ECS starts a task, and the task role, with which the gateway runs.

    policies: a task that starts before its roles may do anything fails, so the service waits for these.
    """

    execution_role_arn: pulumi.Output[str]
    task_role_arn: pulumi.Output[str]
    policies: list[pulumi.Resource]

    def __init__(self, name: str, args: RolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Roles", name, None, opts)
        self._account_id = args.account_id
        self.policies = []
        self.execution_role_arn = self._role("execution", "Starts the gateway's tasks", _execution(args))
        self.task_role_arn = self._role("task", "The gateway at work", _task(args))
        self.register_outputs({})

    def _role(self, name: str, description: str, policy: pulumi.Output[str]) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            description=description,
            assume_role_policy=trust(PRINCIPAL, self._account_id),
            opts=child,
        )
        self.policies.append(aws.iam.RolePolicy(name, role=role.id, policy=policy, opts=child))
        return role.arn


def _execution(args: RolesArgs) -> pulumi.Output[str]:
    return document(
        # The token opens the account's registry, not one repository; the action takes no resource
        # (Service Authorization Reference, Amazon Elastic Container Registry).
        allow("RegistryToken", ["ecr:GetAuthorizationToken"], ["*"]),
        allow(
            "PullImage",
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [args.repository_arn],
        ),
        # The suffix stands for the group's streams, one a task.
        allow(
            "WriteLogs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [pulumi.Output.concat(args.log_group_arn, ":*")],
        ),
        allow("InjectPepper", ["secretsmanager:GetSecretValue"], [args.pepper_secret_arn]),
        allow("DecryptPepper", ["kms:Decrypt"], [args.key_arn]),
    )


def _task(args: RolesArgs) -> pulumi.Output[str]:
    statements: list[Statement] = [
        allow(
            "ReadRotatingSecrets",
            ["secretsmanager:GetSecretValue"],
            [args.openai_secret_arn, args.cache_secret_arn],
        ),
        allow("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], [args.key_arn]),
        allow(
            "UseTable",
            [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:ConditionCheckItem",
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            [args.table_arn, pulumi.Output.concat(args.table_arn, "/index/gsi1")],
        ),
        allow(
            "UseRecords",
            ["s3:GetObject", "s3:PutObject"],
            [pulumi.Output.concat(args.bucket_arn, "/", RECORDS_PREFIX, "*")],
        ),
        allow("TellPeople", ["sns:Publish"], [args.alert_topic_arn]),
        allow("HearOfKnowledge", ["sqs:DeleteMessage", "sqs:ReceiveMessage"], [args.knowledge_queue_arn]),
    ]
    return document(*statements)
