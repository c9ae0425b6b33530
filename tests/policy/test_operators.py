"""Mistakes about who operates a stack, each of which a predicate sees."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from policy.access import every_wildcard_resource_has_a_reason, no_wildcard_action
from policy.operators import (
    UNREADABLE,
    operators_do_not_read_data,
    operators_enter_no_task,
    roles_are_bounded,
    workflows_are_known,
)
from policy.resource import Resource
from tests.infra.graph import Registered

Mutate = Callable[..., list[Resource]]
GITHUB = "token.actions.githubusercontent.com"


def document(graph: list[Registered], kind: str, name: str, key: str) -> dict[str, Any]:
    [found] = [r for r in graph if r.custom and r.type.endswith(f":{kind}") and r.name == name]
    parsed: dict[str, Any] = json.loads(found.get(key))
    return parsed


def test_a_role_without_a_boundary_is_said(with_changed: Mutate) -> None:
    assert roles_are_bounded(with_changed("Role", "task", "permissionsBoundary", None)) == [
        "Role task has no boundary"
    ]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({"Action": ["iam:CreateRole"]}, "lets a role make rights: iam:CreateRole"),
        ({"Action": ["*"]}, "lets a role make rights: *"),
        ({"Action": ["sts:AssumeRole"]}, "lets a role make rights: sts:AssumeRole"),
        ({"Action": ["iam:PassRole"]}, "lets a role make rights: iam:PassRole"),
        ({"Action": ["s3:GetObject"]}, "lets a role act in every region"),
    ],
)
def test_a_boundary_that_bounds_little_is_said(
    graph: list[Registered], with_changed: Mutate, statement: dict[str, Any], words: str
) -> None:
    changed = document(graph, "Policy", "boundary", "policy")
    changed["Statement"].append({"Sid": "Oops", "Effect": "Allow", "Resource": ["*"], **statement})
    [sentence] = roles_are_bounded(with_changed("Policy", "boundary", "policy", json.dumps(changed)))
    assert words in sentence


@pytest.mark.parametrize(
    ("claim", "value", "words"),
    [
        ("aud", "somebody.example.com", "token made for something else"),
        ("sub", ["repo:example-org/openai-gateway:ref:refs/heads/main"], "outside GitHub's environment"),
        ("sub", ["repo:example-org/openai-gateway:environment:staging"], "outside GitHub's environment"),
        ("sub", ["repo:example-org/openai-gateway-fork:environment:production"], "another repository"),
        ("sub", [], "another repository"),
        ("ref", "refs/heads/feature", "a branch that is not main"),
    ],
)
def test_a_deployer_that_others_could_become_is_said(
    graph: list[Registered], with_changed: Mutate, claim: str, value: Any, words: str
) -> None:
    changed = document(graph, "Role", "access-deployer", "assumeRolePolicy")
    changed["Statement"][0]["Condition"]["StringEquals"][f"{GITHUB}:{claim}"] = value
    mutated = with_changed("Role", "access-deployer", "assumeRolePolicy", json.dumps(changed))
    assert any(words in sentence for sentence in workflows_are_known(mutated))


def test_a_trust_by_pattern_is_said(graph: list[Registered], with_changed: Mutate) -> None:
    changed = document(graph, "Role", "access-reader", "assumeRolePolicy")
    condition = changed["Statement"][0]["Condition"]
    condition["StringLike"] = {f"{GITHUB}:sub": condition["StringEquals"].pop(f"{GITHUB}:sub")}
    assert workflows_are_known(with_changed("Role", "access-reader", "assumeRolePolicy", json.dumps(changed)))


@pytest.mark.parametrize(
    ("sid", "words"),
    [
        ("DataStaysUnread", "lets data be read: dynamodb:BatchGetItem, "),
        ("DataStaysOne", "lets data be copied: dynamodb:ExportTableToPointInTime, "),
        ("RolesStayApart", "lets its role become another"),
        ("KeepsItsOwnRights", "lets the deployer change its own rights"),
    ],
)
def test_a_deployer_without_its_denials_is_said(
    graph: list[Registered], with_changed: Mutate, sid: str, words: str
) -> None:
    changed = document(graph, "RolePolicy", "access-deployer", "policy")
    changed["Statement"] = [s for s in changed["Statement"] if s["Sid"] != sid]
    mutated = with_changed("RolePolicy", "access-deployer", "policy", json.dumps(changed))
    [sentence] = operators_do_not_read_data(mutated)
    assert sentence.startswith(f"RolePolicy access-deployer {words}")


@pytest.mark.parametrize("name", ["access-reader", "access-deployer"])
@pytest.mark.parametrize("action", sorted(UNREADABLE))
def test_an_operator_that_reads_in_one_way_is_said(
    graph: list[Registered], with_changed: Mutate, action: str, name: str
) -> None:
    changed = document(graph, "RolePolicy", name, "policy")
    [denied] = [s for s in changed["Statement"] if s["Sid"] == "DataStaysUnread"]
    denied["Action"].remove(action)
    assert operators_do_not_read_data(with_changed("RolePolicy", name, "policy", json.dumps(changed))) == [
        f"RolePolicy {name} lets data be read: {action}"
    ]


@pytest.mark.parametrize("part", ["table/gateway", ":::data-", ":::logs-", "vault-openai", "vault-pepper"])
def test_data_that_is_left_out_of_a_denial_is_said(
    graph: list[Registered], with_changed: Mutate, part: str
) -> None:
    changed = document(graph, "RolePolicy", "access-deployer", "policy")
    [denied] = [s for s in changed["Statement"] if s["Sid"] == "DataStaysUnread"]
    kept = [resource for resource in denied["Resource"] if part not in resource]
    assert kept != denied["Resource"]
    denied["Resource"] = kept
    [sentence] = operators_do_not_read_data(
        with_changed("RolePolicy", "access-deployer", "policy", json.dumps(changed))
    )
    assert "lets data be read" in sentence


def test_a_boundary_that_lets_workflows_act_is_said(graph: list[Registered], with_changed: Mutate) -> None:
    changed = document(graph, "Policy", "boundary", "policy")
    changed["Statement"] = [s for s in changed["Statement"] if s["Effect"] == "Allow"]
    assert roles_are_bounded(with_changed("Policy", "boundary", "policy", json.dumps(changed))) == [
        "Policy boundary lets a role act for a workflow"
    ]


def test_a_pattern_that_is_not_listed_is_said(graph: list[Registered], with_changed: Mutate) -> None:
    changed = document(graph, "RolePolicy", "access-deployer", "policy")
    changed["Statement"][0]["Action"] += ["lambda:*"]
    mutated = with_changed("RolePolicy", "access-deployer", "policy", json.dumps(changed))
    assert no_wildcard_action(mutated) == [
        "RolePolicy access-deployer, ManageTheRegion: allows lambda:*; name the actions"
    ]


def test_managing_every_region_is_said(graph: list[Registered], with_changed: Mutate) -> None:
    changed = document(graph, "RolePolicy", "access-deployer", "policy")
    del changed["Statement"][0]["Condition"]
    mutated = with_changed("RolePolicy", "access-deployer", "policy", json.dumps(changed))
    [sentence] = every_wildcard_resource_has_a_reason(mutated)
    assert "ManageTheRegion: allows acm:*" in sentence


def test_a_listed_pattern_is_not_for_the_gateways_roles(
    graph: list[Registered], with_changed: Mutate
) -> None:
    changed = document(graph, "RolePolicy", "task", "policy")
    changed["Statement"].append(
        {"Sid": "Oops", "Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": ["*"]}
    )
    mutated = with_changed("RolePolicy", "task", "policy", json.dumps(changed))
    assert no_wildcard_action(mutated)
    assert every_wildcard_resource_has_a_reason(mutated)


@pytest.mark.parametrize("name", ["access-reader", "access-deployer"])
def test_an_operator_that_may_enter_tasks_is_said(
    name: str, graph: list[Registered], with_changed: Mutate
) -> None:
    policy = document(graph, "RolePolicy", name, "policy")
    policy["Statement"] = [s for s in policy["Statement"] if s["Sid"] != "TasksStayShut"]
    changed = with_changed("RolePolicy", name, "policy", json.dumps(policy))
    assert operators_enter_no_task(changed) == [f"RolePolicy {name} lets its role into tasks"]
