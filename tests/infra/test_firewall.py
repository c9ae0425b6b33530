"""The firewall: before the balancer, strict about headers and addresses, patient with prompts."""

from typing import Any

from policy.front import BODY_RULES
from tests.infra.graph import StackGraph, stack_graph


def groups(graph: StackGraph) -> dict[str, list[str]]:
    """Managed rule group -> its rules that only count."""
    statements = [r["statement"].get("managedRuleGroupStatement") for r in graph.one("WebAcl").get("rules")]
    return {s["name"]: [o["name"] for o in s["ruleActionOverrides"]] for s in statements if s}


def test_it_stands_before_the_balancer(either: StackGraph) -> None:
    association = either.one("WebAclAssociation")
    assert association.get("resourceArn") == either.one("LoadBalancer").get("arn")
    assert association.get("webAclArn") == either.one("WebAcl").get("arn")
    assert either.one("WebAcl").get("scope") == "REGIONAL"


def test_every_rule_that_looks_into_bodies_counts_and_no_other(either: StackGraph) -> None:
    found = {name: set(rules) for name, rules in groups(either).items()}
    assert found == BODY_RULES
    assert all(rule.endswith("_BODY") for rules in found.values() for rule in rules)
    for rule in either.one("WebAcl").get("rules"):
        for override in rule["statement"].get("managedRuleGroupStatement", {}).get("ruleActionOverrides", []):
            assert override["actionToUse"] == {"count": {}}


def test_rules_have_priorities_of_their_own(either: StackGraph) -> None:
    rules = either.one("WebAcl").get("rules")
    assert len({r["priority"] for r in rules}) == len({r["name"] for r in rules}) == len(rules) == 4


def test_an_address_is_bounded_as_configured() -> None:
    graph = stack_graph("staging", requests_per_address="7000")
    [statement] = [
        r["statement"]["rateBasedStatement"]
        for r in graph.one("WebAcl").get("rules")
        if "rateBasedStatement" in r["statement"]
    ]
    assert statement == {"limit": 7000, "aggregateKeyType": "IP", "evaluationWindowSec": 300}


def test_what_it_blocks_or_counts_is_logged_without_keys(either: StackGraph) -> None:
    logging = either.one("WebAclLoggingConfiguration")
    group = either.one("LogGroup", "logs-firewall")
    assert group.get("name").startswith("aws-waf-logs-"), "WAF writes to no other group"
    assert logging.get("logDestinationConfigs") == [group.get("arn")]
    assert logging.get("redactedFields") == [{"singleHeader": {"name": "authorization"}}]
    kept: dict[str, Any] = logging.get("loggingFilter")
    assert kept["defaultBehavior"] == "DROP"
    assert [c["actionCondition"]["action"] for c in kept["filters"][0]["conditions"]] == ["BLOCK", "COUNT"]
