"""Who may read the stack's secrets, said at the secrets themselves.

An identity's policy says what a role may do; what another role, or an administrator, is allowed elsewhere
it cannot bound. These policies deny, so no grant anywhere reaches past them; whoever may change a secret's
policy can still take one away, which CloudTrail records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, document


@dataclass(frozen=True)
class SecretReaders:
    """role_arns: the only principals that read the value; empty where IAM decides within the account, because
    people work with it too: they issue the first key with the pepper, take out the first owner's key, and
    seed and rotate the cache's password."""

    secret_arn: pulumi.Input[str]
    role_arns: Sequence[pulumi.Input[str]] = ()


@dataclass(frozen=True)
class SecretAccessArgs:
    """secrets: name -> who reads it."""

    account_id: pulumi.Input[str]
    secrets: Mapping[str, SecretReaders]


class SecretAccess(pulumi.ComponentResource):
    """One resource policy per secret."""

    def __init__(self, name: str, args: SecretAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:SecretAccess", name, None, opts)
        for secret, readers in args.secrets.items():
            aws.secretsmanager.SecretPolicy(
                f"{name}-{secret}",
                secret_arn=readers.secret_arn,
                policy=document(*_statements(args.account_id, readers)),
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def _statements(account_id: pulumi.Input[str], readers: SecretReaders) -> list[Statement]:
    """In a secret's policy the resource `*` is the secret itself (Secrets Manager user guide)."""
    statements: list[Statement] = [
        {
            "Sid": "ThisAccountOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "secretsmanager:*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:PrincipalAccount": account_id}},
        }
    ]
    if readers.role_arns:
        statements.append(
            {
                "Sid": "ReadByItsRolesOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": "*",
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": list(readers.role_arns)}},
            }
        )
    return statements
