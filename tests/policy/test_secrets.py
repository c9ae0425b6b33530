"""A secret that more than its readers could read is said."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from policy.resource import Resource
from policy.secrets import every_secret_names_its_readers
from tests.infra.graph import Registered

Mutate = Callable[..., list[Resource]]
KIND = ("SecretPolicy", "secret-access-openai", "policy")


def policy(graph: list[Registered]) -> dict[str, Any]:
    [found] = [r for r in graph if r.name == KIND[1]]
    parsed: dict[str, Any] = json.loads(found.get("policy"))
    return parsed


def test_a_secret_without_a_policy_is_said(graph: list[Registered]) -> None:
    rest = [r for r in graph if r.name not in ("secret-access-openai", "secret-access-owner")]
    # Resources are registered in no fixed order.
    assert sorted(every_secret_names_its_readers(rest)) == [
        "Secret vault-openai has no policy that keeps it in the account",
        "Secret vault-openai may be read by whoever IAM allows; name its roles in its policy",
        "Secret vault-owner has no policy that keeps it in the account",
    ]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("Effect", "Allow"),
        ("Action", "secretsmanager:DeleteSecret"),
        ("Principal", {"AWS": "arn:aws:iam::123456789012:role/x"}),
        ("Condition", {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::123456789012:role/*"]}}),
        ("Condition", {"ArnNotEquals": {"aws:PrincipalArn": []}}),
    ],
)
def test_a_denial_that_spares_too_many_is_said(
    graph: list[Registered], with_changed: Mutate, part: str, value: Any
) -> None:
    changed = policy(graph)
    changed["Statement"][1][part] = value
    assert every_secret_names_its_readers(with_changed(*KIND, json.dumps(changed))) == [
        "Secret vault-openai may be read by whoever IAM allows; name its roles in its policy"
    ]
