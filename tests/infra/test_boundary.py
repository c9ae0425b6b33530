"""Every role of a workload stays within the boundary, which is wide enough for what they do."""

import json

from local.aws.policy import AccessRequest, is_allowed
from tests.infra.graph import ACCOUNT, StackGraph


def test_every_role_but_the_operators_has_the_boundary_and_the_stacks_path(either: StackGraph) -> None:
    boundary = either.one("Policy", "boundary").get("arn")
    for role in either.all("Role"):
        if role.name.startswith("access-"):
            assert role.get("permissionsBoundary") is None, role
        else:
            assert role.get("permissionsBoundary") == boundary, role
            assert str(role.get("path")).startswith("/openai-gateway-"), role


def test_the_boundary_takes_nothing_away_that_a_role_needs(either: StackGraph) -> None:
    boundary = json.loads(either.one("Policy", "boundary").get("policy"))["Statement"]
    context = {"aws:RequestedRegion": "us-east-1", "iam:PassedToService": "ecs-tasks.amazonaws.com"}
    for policy in either.all("RolePolicy"):
        if policy.name.startswith("access-"):
            continue
        for statement in json.loads(policy.get("policy"))["Statement"]:
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert is_allowed(boundary, AccessRequest(action, "*", context)), (policy, action)


def test_the_boundary_lets_nobody_make_rights_or_act_elsewhere(either: StackGraph) -> None:
    boundary = json.loads(either.one("Policy", "boundary").get("policy"))["Statement"]
    here = {"aws:RequestedRegion": "us-east-1"}
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "sts:AssumeRole", "ec2:RunInstances"):
        assert not is_allowed(boundary, AccessRequest(action, "*", here)), action
    assert not is_allowed(boundary, AccessRequest("s3:PutObject", "*", {"aws:RequestedRegion": "eu-west-1"}))


def test_a_role_of_the_stack_does_nothing_for_a_token_from_outside(either: StackGraph) -> None:
    """Whoever may write a role's trust could otherwise let a workflow take the gateway's own."""
    boundary = json.loads(either.one("Policy", "boundary").get("policy"))["Statement"]
    github = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    workflow = {"aws:RequestedRegion": "us-east-1", "aws:FederatedProvider": github}
    assert not is_allowed(boundary, AccessRequest("dynamodb:Query", "*", workflow))
    del workflow["aws:FederatedProvider"]
    assert is_allowed(boundary, AccessRequest("dynamodb:Query", "*", workflow))
