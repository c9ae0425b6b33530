"""Who becomes the reader and the deployer, and what they may do."""

import json
from typing import Any

import pytest

from infra.access import reader_subjects
from local.aws.policy import AccessRequest, is_allowed
from tests.infra.graph import ACCOUNT, StackGraph, stack_graph

GITHUB = "token.actions.githubusercontent.com"
REPOSITORY = "example-org/openai-gateway"
ENVIRONMENTS = {"staging": "staging", "prod": "production"}


def trust(graph: StackGraph, role: str) -> dict[str, Any]:
    document = json.loads(graph.one("Role", role).get("assumeRolePolicy"))
    return {statement["Sid"]: statement for statement in document["Statement"]}


def may(graph: StackGraph, role: str, action: str, resource: str, **context: str) -> bool:
    statements = json.loads(graph.one("RolePolicy", role).get("policy"))["Statement"]
    known = {"aws:RequestedRegion": "us-east-1", **{k.replace("__", ":"): v for k, v in context.items()}}
    return is_allowed(statements, AccessRequest(action, resource, known))


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_only_the_environments_own_jobs_on_main_deploy(stack: str) -> None:
    graph = stack_graph(stack)
    statements = trust(graph, "access-deployer")
    assert set(statements) == {"WorkflowsOfTheRepository"}
    statement = statements["WorkflowsOfTheRepository"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {
            f"{GITHUB}:aud": "sts.amazonaws.com",
            f"{GITHUB}:sub": [f"repo:{REPOSITORY}:environment:{ENVIRONMENTS[stack]}"],
            f"{GITHUB}:ref": "refs/heads/main",
        }
    }


def test_the_deployers_role_is_given_for_as_long_as_a_deployment_takes(either: StackGraph) -> None:
    """AWS gives a role for an hour at most where it does not say more (IAM API, MaxSessionDuration)."""
    assert either.one("Role", "access-deployer").get("maxSessionDuration") == 7200
    assert either.one("Role", "access-reader").get("maxSessionDuration") is None


def test_a_pull_request_sees_staging_and_not_production() -> None:
    pull_request = f"repo:{REPOSITORY}:pull_request"
    assert pull_request in reader_subjects(REPOSITORY, "staging")
    assert reader_subjects(REPOSITORY, "production") == [f"repo:{REPOSITORY}:ref:refs/heads/main"]


def test_an_account_gets_one_identity_provider(staging: StackGraph, production: StackGraph) -> None:
    provider = staging.one("OpenIdConnectProvider")
    assert provider.get("url") == f"https://{GITHUB}"
    assert provider.get("clientIdLists") == ["sts.amazonaws.com"]
    assert production.all("OpenIdConnectProvider") == []
    apart = stack_graph("prod", github_oidc_provider="create")
    assert apart.one("OpenIdConnectProvider").get("arn") in json.dumps(trust(apart, "access-deployer"))


def test_the_reader_sees_and_changes_nothing(either: StackGraph) -> None:
    assert may(either, "access-reader", "ecs:DescribeServices", "*")
    assert may(either, "access-reader", "s3:GetBucketPolicy", "*")
    for action in ("ecs:UpdateService", "s3:PutBucketPolicy", "iam:PutRolePolicy", "ecr:PutImage"):
        assert not may(either, "access-reader", action, "*"), action


def test_the_reader_fetches_this_stacks_images(either: StackGraph) -> None:
    repository = either.one("Repository").get("arn")
    assert may(either, "access-reader", "ecr:BatchGetImage", repository)
    assert not may(either, "access-reader", "ecr:BatchGetImage", f"{repository}-other")


def test_the_reader_asks_whether_this_stacks_buckets_are_there(either: StackGraph) -> None:
    """S3's HeadBucket, by which a preview with --refresh begins to read a bucket, is `s3:ListBucket`."""
    buckets = either.all("Bucket")
    assert {bucket.name for bucket in buckets} == {"data", "logs"}
    for bucket in buckets:
        assert may(either, "access-reader", "s3:ListBucket", bucket.get("arn")), bucket
    assert not may(either, "access-reader", "s3:ListBucket", "arn:aws:s3:::somebody-elses")


@pytest.mark.parametrize("role", ["access-reader", "access-deployer"])
def test_neither_reads_the_gateways_data_or_its_secrets(either: StackGraph, role: str) -> None:
    table = either.one("Table").get("arn")
    assert not may(either, role, "dynamodb:Query", table)
    assert not may(either, role, "dynamodb:Query", f"{table}/index/gsi1")
    assert not may(either, role, "dynamodb:GetRecords", f"{table}/stream/2026-11-01T00:00:00.000")
    # With ReturnValues these answer with the item that was there.
    for action in ("UpdateItem", "DeleteItem", "PutItem", "PartiQLUpdate", "PartiQLDelete"):
        assert not may(either, role, f"dynamodb:{action}", table), action
    for bucket in either.all("Bucket"):
        assert not may(either, role, "s3:GetObject", f"{bucket.get('arn')}/records/x")
    for name in ("openai", "pepper", "owner"):
        secret = either.one("Secret", f"vault-{name}").get("arn")
        assert not may(either, role, "secretsmanager:GetSecretValue", secret)


def test_a_policy_of_a_secret_lets_the_deployer_read_none(either: StackGraph) -> None:
    """The deployer writes those policies, and within an account they allow as much as an identity's own."""
    for name in ("openai", "pepper", "owner"):
        secret = either.one("Secret", f"vault-{name}").get("arn")
        own = json.loads(either.one("RolePolicy", "access-deployer").get("policy"))["Statement"]
        theirs = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
        request = AccessRequest("secretsmanager:GetSecretValue", secret, {"aws:RequestedRegion": "us-east-1"})
        assert not is_allowed([*own, theirs], request), name


@pytest.mark.parametrize("role", ["access-reader", "access-deployer"])
def test_neither_becomes_a_role_that_reads_data(either: StackGraph, role: str) -> None:
    """Nor when that role's trust, which the deployer may write, names it."""
    own = json.loads(either.one("RolePolicy", role).get("policy"))["Statement"]
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    task = either.one("Role", "task").get("arn")
    assert not is_allowed([*own, trusted], AccessRequest("sts:AssumeRole", task))


@pytest.mark.parametrize("role", ["access-reader", "access-deployer"])
@pytest.mark.parametrize(
    ("action", "source"),
    [
        ("dynamodb:RestoreTableToPointInTime", ""),
        ("dynamodb:RestoreTableFromBackup", "/backup/01234567890123-abcdefgh"),
        ("dynamodb:ExportTableToPointInTime", ""),
        ("dynamodb:PutResourcePolicy", ""),
        ("elasticache:CopySnapshot", ""),
        ("s3:CreateAccessPoint", ""),
    ],
)
def test_neither_makes_a_copy_that_nothing_denies(
    either: StackGraph, role: str, action: str, source: str
) -> None:
    assert not may(either, role, action, either.one("Table").get("arn") + source)
    assert not may(either, role, action, "arn:aws:dynamodb:us-east-1:123456789012:table/a-copy")


@pytest.mark.parametrize("role", ["access-reader", "access-deployer"])
def test_neither_opens_a_shell_in_a_task(either: StackGraph, role: str) -> None:
    task = f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/openai-gateway/0123"
    assert not may(either, role, "ecs:ExecuteCommand", task)


def test_the_deployer_works_in_the_stacks_region_only(either: StackGraph) -> None:
    assert may(either, "access-deployer", "ecs:UpdateService", "*")
    assert not may(either, "access-deployer", "ecs:UpdateService", "*", aws__RequestedRegion="eu-west-1")


def test_the_deployer_makes_roles_within_the_boundary_only(either: StackGraph) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role{either.one('Role', 'task').get('path')}new"
    boundary = either.one("Policy", "boundary").get("arn")
    assert may(either, "access-deployer", "iam:CreateRole", role, iam__PermissionsBoundary=boundary)
    assert not may(either, "access-deployer", "iam:CreateRole", role)
    assert not may(either, "access-deployer", "iam:CreateRole", role, iam__PermissionsBoundary=f"{boundary}2")
    assert not may(either, "access-deployer", "iam:DeleteRolePermissionsBoundary", role)
    elsewhere = f"arn:aws:iam::{ACCOUNT}:role/admin"
    assert not may(either, "access-deployer", "iam:CreateRole", elsewhere, iam__PermissionsBoundary=boundary)


def test_the_deployer_hands_over_the_stacks_roles_to_the_services_that_need_them(either: StackGraph) -> None:
    task = either.one("Role", "task").get("arn")
    to_tasks, to_lambda = "ecs-tasks.amazonaws.com", "lambda.amazonaws.com"
    assert may(either, "access-deployer", "iam:PassRole", task, iam__PassedToService=to_tasks)
    assert not may(either, "access-deployer", "iam:PassRole", task, iam__PassedToService=to_lambda)
    admin = f"arn:aws:iam::{ACCOUNT}:role/admin"
    assert not may(either, "access-deployer", "iam:PassRole", admin, iam__PassedToService=to_tasks)


def test_the_deployer_cannot_change_its_own_rights_or_the_boundary(either: StackGraph) -> None:
    boundary = either.one("Policy", "boundary").get("arn")
    for role in ("access-deployer", "access-reader"):
        own = either.one("Role", role).get("arn")
        for action in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy"):
            assert not may(either, "access-deployer", action, own, iam__PermissionsBoundary=boundary), action
    assert not may(either, "access-deployer", "iam:CreatePolicyVersion", boundary)
