"""Who reads a secret is said at the secret; those that people read stand here with the reason."""

import json
from collections.abc import Mapping
from typing import Any

from policy.resource import Graph, of_type

# Resource name -> why no list of roles bounds who reads it; IAM decides within the account.
READ_BY_PEOPLE = {
    "vault-owner": "the first owner takes it out once, to make accounts for others",
    "vault-pepper": "whoever issues the first key hashes it with the pepper",
    "vault-cache": "whoever seeds or rotates sets the cache's user to what it holds",
}


def every_secret_names_its_readers(graph: Graph) -> list[str]:
    """Each secret has a policy that shuts out other accounts, and all principals but its readers."""
    policies = {
        policy.get("secretArn"): json.loads(policy.get("policy"))["Statement"]
        for policy in of_type(graph, "secretsmanager/secretPolicy:SecretPolicy")
    }
    found = []
    for secret in of_type(graph, "secretsmanager/secret:Secret"):
        denied = [s for s in policies.get(secret.get("arn"), []) if _denies_everybody(s)]
        if not any(_but(s, "StringNotEquals", "aws:PrincipalAccount") for s in denied):
            found.append(f"{secret} has no policy that keeps it in the account")
        if secret.name in READ_BY_PEOPLE:
            continue
        if not any(_but(s, "ArnNotEquals", "aws:PrincipalArn") for s in denied):
            found.append(f"{secret} may be read by whoever IAM allows; name its roles in its policy")
    return found


def _denies_everybody(statement: Mapping[str, Any]) -> bool:
    actions = {"secretsmanager:GetSecretValue", "secretsmanager:*"}
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") == "*"
        and statement.get("Action") in actions
        and statement.get("Resource") == "*"
    )


def _but(statement: Mapping[str, Any], operator: str, key: str) -> bool:
    """Whether the statement's only condition spares those whose `key` is listed, without a pattern."""
    condition = statement.get("Condition", {})
    spared = condition.get(operator, {}).get(key, [])
    texts = [spared] if isinstance(spared, str) else spared
    return set(condition) == {operator} and bool(texts) and not any("*" in text for text in texts)
