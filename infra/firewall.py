"""The web application firewall before the load balancer: AWS's managed rules, and a bound per address.

Rules that look into bodies only count. A prompt is text about anything: it quotes scripts, paths and
exploits, and is longer than the 8 KB that WAF looks at. AWS adds rules to its groups as it sees fit;
docs/decisions.md says why no version is pinned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# AWS WAF developer guide, "AWS Managed Rules rule groups list": the group -> its rules that count here.
MANAGED: Mapping[str, Sequence[str]] = {
    "AWSManagedRulesAmazonIpReputationList": (),
    "AWSManagedRulesKnownBadInputsRuleSet": (
        "JavaDeserializationRCE_BODY",
        "Log4JRCE_BODY",
        "ReactJSRCE_BODY",
    ),
    "AWSManagedRulesCommonRuleSet": (
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    ),
}

RATE_WINDOW_S = 300


@dataclass(frozen=True)
class FirewallArgs:
    """requests_per_address: in five minutes, before an address is blocked until it is below again."""

    balancer_arn: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    requests_per_address: int


class Firewall(pulumi.ComponentResource):
    """A web ACL on the load balancer; what it blocks or counts is logged, without anybody's key or path."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Firewall", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        acl = aws.wafv2.WebAcl(
            name,
            description="Managed rules and a rate per address before the gateway",
            scope="REGIONAL",
            default_action={"allow": {}},
            rules=[
                *(_managed(order, group, counted) for order, (group, counted) in enumerate(MANAGED.items())),
                _rate(len(MANAGED), args.requests_per_address),
            ],
            visibility_config=_seen_as(name),
            opts=child,
        )
        aws.wafv2.WebAclAssociation(name, resource_arn=args.balancer_arn, web_acl_arn=acl.arn, opts=child)
        aws.wafv2.WebAclLoggingConfiguration(
            name,
            resource_arn=acl.arn,
            log_destination_configs=[args.log_group_arn],
            # Bodies are never logged. This header carries the caller's key.
            redacted_fields=[{"single_header": {"name": "authorization"}}],
            logging_filter={
                "default_behavior": "DROP",
                "filters": [
                    {
                        "behavior": "KEEP",
                        "requirement": "MEETS_ANY",
                        "conditions": [
                            {"action_condition": {"action": action}} for action in ("BLOCK", "COUNT")
                        ],
                    }
                ],
            },
            opts=child,
        )
        self.register_outputs({})


def _managed(order: int, group: str, counted: Sequence[str]) -> aws.wafv2.WebAclRuleArgsDict:
    return {
        "name": group,
        "priority": order,
        "override_action": {"none": {}},
        "statement": {
            "managed_rule_group_statement": {
                "vendor_name": "AWS",
                "name": group,
                "rule_action_overrides": [{"name": rule, "action_to_use": {"count": {}}} for rule in counted],
            }
        },
        "visibility_config": _seen_as(group),
    }


def _rate(order: int, requests: int) -> aws.wafv2.WebAclRuleArgsDict:
    return {
        "name": "rate",
        "priority": order,
        "action": {"block": {}},
        "statement": {
            "rate_based_statement": {
                "limit": requests,
                "aggregate_key_type": "IP",
                "evaluation_window_sec": RATE_WINDOW_S,
            }
        },
        "visibility_config": _seen_as("rate"),
    }


def _seen_as(metric: str) -> aws.wafv2.WebAclVisibilityConfigArgsDict:
    return {"cloudwatch_metrics_enabled": True, "metric_name": metric, "sampled_requests_enabled": False}
