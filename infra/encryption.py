"""The stack's one encryption key."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.alerts import PUBLISHERS
from infra.iam import document

LOG_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


@dataclass(frozen=True)
class EncryptionArgs:
    """alias: without `alias/`. log_group_names: what CloudWatch Logs may encrypt with the key."""

    alias: str
    region: str
    account_id: pulumi.Input[str]
    log_group_names: Sequence[str]
    deletion_protection: bool


class Encryption(pulumi.ComponentResource):
    """A customer-managed KMS key with yearly rotation, and its alias."""

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Encryption", name, None, opts)
        key = aws.kms.Key(
            name,
            description=f"{args.alias}: data, logs, secrets and images of the stack",
            enable_key_rotation=True,
            deletion_window_in_days=30 if args.deletion_protection else 7,
            policy=_key_policy(args),
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protection),
        )
        aws.kms.Alias(
            name,
            name=f"alias/{args.alias}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.key_arn = key.arn
        self.register_outputs({"key_arn": self.key_arn})


def _key_policy(args: EncryptionArgs) -> pulumi.Output[str]:
    """In a key's policy the resource `*` is the key itself (KMS developer guide, "Key policies")."""
    arn = pulumi.Output.concat("arn:aws:logs:", args.region, ":", args.account_id, ":log-group:")
    return document(
        {
            # Without it the account could lose the key: nobody but the named principals could change its
            # policy. It lets the account's IAM policies decide, and IAM grants the key to two roles only.
            "Sid": "AccountAdministersByIam",
            "Effect": "Allow",
            "Principal": {"AWS": pulumi.Output.concat("arn:aws:iam::", args.account_id, ":root")},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "LogsOfThisStack",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{args.region}.amazonaws.com"},
            "Action": list(LOG_ACTIONS),
            "Resource": "*",
            "Condition": {
                "ArnEquals": {
                    "kms:EncryptionContext:aws:logs:arn": [
                        pulumi.Output.concat(arn, group) for group in args.log_group_names
                    ]
                }
            },
        },
        {
            # A topic that is encrypted takes messages only from whoever may use its key.
            "Sid": "AlertsOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": args.account_id}},
        },
        {
            # So does a queue.
            "Sid": "NoticesOfThisAccountsBuckets",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": args.account_id}},
        },
    )
