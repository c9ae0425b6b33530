"""WAF: web ACLs, what they stand before, and where they log. Nothing filters requests on this machine."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource

NAMES = {
    "cloudwatchMetricsEnabled": "CloudWatchMetricsEnabled",
    "evaluationWindowSec": "EvaluationWindowSec",
    "ipSetReferenceStatement": "IPSetReferenceStatement",
}
"""Pulumi's names whose API names are not just capitalized."""


@resource("aws:wafv2/webAcl:WebAcl")
def web_acl(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=128)
    made = request.call(
        "wafv2", "create_web_acl",
        Name=name, Scope=request["scope"], Description=request.get("description"),
        DefaultAction=as_api(request["defaultAction"]), Rules=as_api(request.get("rules", [])),
        VisibilityConfig=as_api(request["visibilityConfig"]), Tags=request.tag_list(),
    )["Summary"]  # fmt: skip
    return Created(made["Id"], {"name": name, "arn": made["ARN"]})


@resource("aws:wafv2/webAclAssociation:WebAclAssociation")
def web_acl_association(request: ResourceRequest) -> Created:
    acl, before = request["webAclArn"], request["resourceArn"]
    request.call("wafv2", "associate_web_acl", WebACLArn=acl, ResourceArn=before)
    return Created(f"{acl},{before}")


@resource("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
def web_acl_logging(request: ResourceRequest) -> Created:
    configuration = {
        "ResourceArn": request["resourceArn"],
        "LogDestinationConfigs": request["logDestinationConfigs"],
        "RedactedFields": as_api(request.get("redactedFields", [])),
        "LoggingFilter": as_api(request.get("loggingFilter", {})),
    }
    request.call("wafv2", "put_logging_configuration", LoggingConfiguration=configuration)
    return Created(request["resourceArn"])


def as_api(value: Any) -> Any:
    """A block with its names as the API writes them."""
    if isinstance(value, dict):
        return {NAMES.get(key, key[0].upper() + key[1:]): as_api(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_api(inner) for inner in value]
    return value
