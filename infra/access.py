"""Who may look at the stack and who may change it: a reader and a deployer role, taken by GitHub's workflows.

No key of AWS is kept at GitHub: a workflow proves with a signed token which repository, branch and
environment it runs for, and gets credentials for as long as it may take. A person takes the reader's role
with the account's own IAM.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.access_policies import Reach, deployer_statements, reader_statements
from infra.iam import Statement, document

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
MAIN = "refs/heads/main"

DEPLOYING_S = 2 * 3600
"""The longest that a deployment may take: the longest streams are drained for an hour of it, and ECS and the
cache need their time as well. `.github/workflows/deploy.yml` asks for as much."""


@dataclass(frozen=True)
class AccessArgs:
    """environment: also the name of the GitHub environment that a deploying job must run in.
    provider: an account has one identity provider for GitHub; `create` makes it with this stack, `existing`
    uses the one that another stack or a person made. reach: what the roles are about."""

    repository: str
    environment: Literal["staging", "production"]
    provider: Literal["create", "existing"]
    reach: Reach


class Access(pulumi.ComponentResource):
    """The two roles. The deployer cannot change them: what it may do is changed by a person."""

    reader_role_arn: pulumi.Output[str]
    deployer_role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Access", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        provider_arn: pulumi.Output[str] = pulumi.Output.concat(
            "arn:aws:iam::", args.reach.account_id, ":oidc-provider/", ISSUER
        )
        if args.provider == "create":
            provider_arn = aws.iam.OpenIdConnectProvider(
                f"{name}-github", url=f"https://{ISSUER}", client_id_lists=[AUDIENCE], opts=child
            ).arn
        reader = aws.iam.Role(
            f"{name}-reader",
            description="Looks at the stack: previews, drift checks, people",
            assume_role_policy=document(
                from_github(provider_arn, reader_subjects(args.repository, args.environment)),
                {
                    "Sid": "PeopleOfThisAccount",
                    "Effect": "Allow",
                    "Principal": {
                        "AWS": pulumi.Output.concat("arn:aws:iam::", args.reach.account_id, ":root")
                    },
                    "Action": "sts:AssumeRole",
                },
            ),
            opts=child,
        )
        deployer = aws.iam.Role(
            f"{name}-deployer",
            description=f"Deploys the stack from GitHub's environment {args.environment} on main",
            max_session_duration=DEPLOYING_S,
            assume_role_policy=document(
                from_github(provider_arn, [environment_subject(args.repository, args.environment)], MAIN)
            ),
            opts=child,
        )
        for suffix, role, statements in (
            ("reader", reader, reader_statements(args.reach)),
            ("deployer", deployer, deployer_statements(args.reach, [reader.arn, deployer.arn])),
        ):
            aws.iam.RolePolicy(f"{name}-{suffix}", role=role.id, policy=document(*statements), opts=child)
        self.reader_role_arn = reader.arn
        self.deployer_role_arn = deployer.arn
        self.register_outputs({})


def environment_subject(repository: str, environment: str) -> str:
    """What GitHub calls a job of a protected environment (its reference, "OpenID Connect")."""
    return f"repo:{repository}:environment:{environment}"


def reader_subjects(repository: str, environment: str) -> list[str]:
    """Jobs of main may look at both stacks. Staging is shown to pull requests, whose code nobody has reviewed
    yet, and to the job that promotes its image to production."""
    main = f"repo:{repository}:ref:{MAIN}"
    if environment == "production":
        return [main]
    return [main, f"repo:{repository}:pull_request", environment_subject(repository, "production")]


def from_github(
    provider_arn: pulumi.Input[str], subjects: Sequence[str], ref: str | None = None
) -> Statement:
    """Trust in workflows whose token names one of `subjects`, and the git `ref` where one is given.

    AWS checks GitHub's claims beyond the subject since 2026 (IAM user guide, "Available keys for AWS OIDC
    federation")."""
    claims: dict[str, str | list[str]] = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": list(subjects)}
    if ref is not None:
        claims[f"{ISSUER}:ref"] = ref
    return {
        "Sid": "WorkflowsOfTheRepository",
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": claims},
    }
