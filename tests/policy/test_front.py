"""A balancer without firewall or logs, and a firewall that blocks prompts or logs keys, are said."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from policy.front import (
    balancers_keep_access_logs,
    firewall_logs_hold_no_key,
    public_balancers_stand_behind_a_firewall,
)
from policy.resource import Resource

Mutate = Callable[..., list[Resource]]

CASES: list[tuple[Callable[[Sequence[Resource]], list[str]], tuple[str, str, str, Any], str]] = [
    (
        public_balancers_stand_behind_a_firewall,
        ("WebAclAssociation", "firewall", "resourceArn", "another"),
        "LoadBalancer balancer is public and has no firewall",
    ),
    (
        public_balancers_stand_behind_a_firewall,
        (
            "WebAcl",
            "firewall",
            "rules.2.statement.managedRuleGroupStatement.ruleActionOverrides",
            [{"name": "GenericLFI_BODY", "actionToUse": {"count": {}}}],
        ),
        (
            "WebAcl firewall blocks prompts by CrossSiteScripting_BODY, EC2MetaDataSSRF_BODY, "
            "GenericRFI_BODY, SizeRestrictions_BODY of AWSManagedRulesCommonRuleSet"
        ),
    ),
    (
        public_balancers_stand_behind_a_firewall,
        (
            "WebAcl",
            "firewall",
            "rules.1.statement.managedRuleGroupStatement.ruleActionOverrides.2.actionToUse",
            {"block": {}},
        ),
        "WebAcl firewall blocks prompts by ReactJSRCE_BODY of AWSManagedRulesKnownBadInputsRuleSet",
    ),
    (
        public_balancers_stand_behind_a_firewall,
        ("WebAcl", "firewall", "rules.0.statement", {"geoMatchStatement": {}}),
        "WebAcl firewall lacks AWSManagedRulesAmazonIpReputationList",
    ),
    (
        public_balancers_stand_behind_a_firewall,
        ("WebAcl", "firewall", "rules.3.action", {"count": {}}),
        "WebAcl firewall bounds no address",
    ),
    (
        firewall_logs_hold_no_key,
        ("WebAclLoggingConfiguration", "firewall", "redactedFields", []),
        "WebAclLoggingConfiguration firewall writes callers' keys down",
    ),
    (
        balancers_keep_access_logs,
        ("LoadBalancer", "balancer", "accessLogs.enabled", False),
        "LoadBalancer balancer writes its requests down nowhere",
    ),
    (
        balancers_keep_access_logs,
        ("LoadBalancer", "balancer", "accessLogs.bucket", "a-bucket-of-somebody"),
        "LoadBalancer balancer writes its requests down nowhere",
    ),
]


@pytest.mark.parametrize(("invariant", "change", "sentence"), CASES)
def test_the_mistake_is_said(
    invariant: Callable[[Sequence[Resource]], list[str]],
    change: tuple[str, str, str, Any],
    sentence: str,
    with_changed: Mutate,
) -> None:
    assert invariant(with_changed(*change)) == [sentence]


def test_an_internal_balancer_needs_no_firewall(with_changed: Mutate) -> None:
    changed = with_changed("LoadBalancer", "balancer", "internal", True)
    bare = [r for r in changed if not r.type.endswith(":WebAclAssociation")]
    assert public_balancers_stand_behind_a_firewall(bare) == []
