"""WAF on local AWS: what the handlers make is what an API caller finds."""

from typing import Any

from local.aws.client import LocalAws
from local.provider.registry import Created, ResourceRequest, resource_handler
from local.provider.wafv2 import as_api


def create(aws: LocalAws, token: str, logical: str, /, **inputs: Any) -> Created:
    return resource_handler(token)(ResourceRequest(aws, token, logical, inputs, {"stack": "test"}))


def test_names_become_the_apis() -> None:
    seen = {"cloudwatchMetricsEnabled": True, "metricName": "m"}
    rule = {"overrideAction": {"none": {}}, "visibilityConfig": seen}
    assert as_api([rule]) == [
        {
            "OverrideAction": {"None": {}},
            "VisibilityConfig": {"CloudWatchMetricsEnabled": True, "MetricName": "m"},
        }
    ]


def test_a_web_acl_stands_before_a_balancer_and_logs_without_the_keys(aws: LocalAws, unique: str) -> None:
    seen = {"cloudwatchMetricsEnabled": True, "metricName": "m", "sampledRequestsEnabled": False}
    group = {
        "vendorName": "AWS",
        "name": "AWSManagedRulesCommonRuleSet",
        "ruleActionOverrides": [{"name": "SizeRestrictions_BODY", "actionToUse": {"count": {}}}],
    }
    rule = {
        "name": "common", "priority": 0, "overrideAction": {"none": {}}, "visibilityConfig": seen,
        "statement": {"managedRuleGroupStatement": group},
    }  # fmt: skip
    acl = create(
        aws, "aws:wafv2/webAcl:WebAcl", unique, scope="REGIONAL", defaultAction={"allow": {}}, rules=[rule],
        visibilityConfig=seen,
    )  # fmt: skip
    arn = acl.outputs["arn"]
    vpc = aws.call("ec2", "create_vpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws.call(
            "ec2", "create_subnet", VpcId=vpc, CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone=f"us-east-1{'ab'[number]}",
        )["Subnet"]["SubnetId"]
        for number in range(2)
    ]  # fmt: skip
    balancer = aws.call("elbv2", "create_load_balancer", Name=unique, Subnets=subnets)["LoadBalancers"][0]
    before = balancer["LoadBalancerArn"]
    create(
        aws, "aws:wafv2/webAclAssociation:WebAclAssociation", unique, resourceArn=before, webAclArn=arn
    )  # fmt: skip
    create(
        aws, "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", unique, resourceArn=arn,
        logDestinationConfigs=[f"arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-{unique}"],
        redactedFields=[{"singleHeader": {"name": "authorization"}}],
        loggingFilter={
            "defaultBehavior": "DROP",
            "filters": [
                {
                    "behavior": "KEEP",
                    "requirement": "MEETS_ANY",
                    "conditions": [{"actionCondition": {"action": "BLOCK"}}],
                }
            ],
        },
    )  # fmt: skip
    found = aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=before)["WebACL"]
    statement = found["Rules"][0]["Statement"]["ManagedRuleGroupStatement"]
    assert statement["RuleActionOverrides"] == [
        {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}
    ]
    logging = aws.call("wafv2", "get_logging_configuration", ResourceArn=arn)["LoggingConfiguration"]
    assert logging["RedactedFields"] == [{"SingleHeader": {"Name": "authorization"}}]
