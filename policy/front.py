"""What stands before the load balancer, and what is written down of those who come."""

from typing import Any

from policy.resource import Graph, Resource, of_type

MANAGED = {
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
}


def balancers_keep_access_logs(graph: Graph) -> list[str]:
    """Every load balancer writes down its requests, in a bucket of this stack."""
    buckets = {bucket.get("bucket") for bucket in of_type(graph, "s3/bucket:Bucket")}
    return [
        f"{balancer} writes its requests down nowhere"
        for balancer in of_type(graph, "lb/loadBalancer:LoadBalancer")
        if balancer.get("accessLogs", "enabled") is not True
        or balancer.get("accessLogs", "bucket") not in buckets
    ]


def public_balancers_stand_behind_a_firewall(graph: Graph) -> list[str]:
    """Every public load balancer has a web ACL with AWS's managed rules and a rate per address.

    The rule about long bodies must not block: prompts are long.
    """
    acls = {acl.get("arn"): acl for acl in of_type(graph, "wafv2/webAcl:WebAcl")}
    before = {
        association.get("resourceArn"): acls.get(association.get("webAclArn"))
        for association in of_type(graph, "wafv2/webAclAssociation:WebAclAssociation")
    }
    found = []
    for balancer in of_type(graph, "lb/loadBalancer:LoadBalancer"):
        acl = before.get(balancer.get("arn"))
        if acl is None:
            if not balancer.get("internal"):
                found.append(f"{balancer} is public and has no firewall")
            continue
        found += [f"{acl} {problem}" for problem in _problems(acl)]
    return found


def firewall_logs_hold_no_key(graph: Graph) -> list[str]:
    """A firewall's log has the callers' headers, so the one with their key is left out."""
    return [
        f"{logging} writes callers' keys down"
        for logging in of_type(graph, "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
        if {"singleHeader": {"name": "authorization"}} not in (logging.get("redactedFields") or [])
    ]


def _problems(acl: Resource) -> list[str]:
    rules: list[dict[str, Any]] = acl.get("rules") or []
    groups = {
        group["name"]: [override["name"] for override in group.get("ruleActionOverrides") or []]
        for rule in rules
        if (group := rule["statement"].get("managedRuleGroupStatement"))
    }
    problems = [f"lacks {name}" for name in sorted(MANAGED - groups.keys())]
    if "SizeRestrictions_BODY" not in groups.get("AWSManagedRulesCommonRuleSet", ["SizeRestrictions_BODY"]):
        problems.append("blocks long prompts")
    if not any(
        "rateBasedStatement" in rule["statement"] and "block" in rule.get("action", {}) for rule in rules
    ):
        problems.append("bounds no address")
    return problems
