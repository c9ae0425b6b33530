"""Load balancers, target groups, listeners and their rules."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource

LOAD_BALANCER_ATTRIBUTES = {
    "idleTimeout": "idle_timeout.timeout_seconds",
    "clientKeepAlive": "client_keep_alive.seconds",
    "enableDeletionProtection": "deletion_protection.enabled",
    "enableHttp2": "routing.http2.enabled",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "preserveHostHeader": "routing.http.preserve_host_header.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
    "enableWafFailOpen": "waf.fail_open.enabled",
    "enableXffClientPort": "routing.http.xff_client_port.enabled",
}
TARGET_GROUP_ATTRIBUTES = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "slowStart": "slow_start.duration_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "loadBalancingAnomalyMitigation": "load_balancing.algorithm.anomaly_mitigation",
    "loadBalancingCrossZoneEnabled": "load_balancing.cross_zone.enabled",
}
CONDITION_FIELDS = {
    "pathPattern": "path-pattern",
    "hostHeader": "host-header",
    "httpRequestMethod": "http-request-method",
    "sourceIp": "source-ip",
}


@resource("aws:lb/loadBalancer:LoadBalancer")
def load_balancer(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=32)
    created = request.call(
        "elbv2", "create_load_balancer",
        Name=name, Subnets=request.get("subnets"), SecurityGroups=request.get("securityGroups"),
        Scheme="internal" if request.get("internal") else "internet-facing",
        Type=request.get("loadBalancerType", "application"), IpAddressType=request.get("ipAddressType"),
        Tags=request.tag_list(),
    )["LoadBalancers"][0]  # fmt: skip
    arn = created["LoadBalancerArn"]
    attributes = _attributes(request, LOAD_BALANCER_ATTRIBUTES) + _log_attributes(request)
    if attributes:
        request.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=attributes)
    outputs = {
        "name": name,
        "arn": arn,
        "arnSuffix": arn.split(":loadbalancer/")[1],
        "dnsName": created["DNSName"],
        "zoneId": created["CanonicalHostedZoneId"],
        "vpcId": created["VpcId"],
    }
    return Created(arn, outputs)


@resource("aws:lb/targetGroup:TargetGroup")
def target_group(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=32)
    check = request.get("healthCheck", {})
    matcher = check.get("matcher")
    settings: dict[str, Any] = {
        "HealthCheckEnabled": check.get("enabled"),
        "HealthCheckPath": check.get("path"),
        "HealthCheckPort": check.get("port"),
        "HealthCheckProtocol": check.get("protocol"),
        "HealthCheckIntervalSeconds": check.get("interval"),
        "HealthCheckTimeoutSeconds": check.get("timeout"),
        "HealthyThresholdCount": check.get("healthyThreshold"),
        "UnhealthyThresholdCount": check.get("unhealthyThreshold"),
        "Matcher": {"HttpCode": str(matcher)} if matcher else None,
    }
    created = request.call(
        "elbv2", "create_target_group",
        Name=name, Protocol=request.get("protocol"), ProtocolVersion=request.get("protocolVersion"),
        Port=request.get("port"), VpcId=request.get("vpcId"), TargetType=request.get("targetType"),
        Tags=request.tag_list(), **settings,
    )["TargetGroups"][0]  # fmt: skip
    arn = created["TargetGroupArn"]
    if attributes := _attributes(request, TARGET_GROUP_ATTRIBUTES):
        request.call("elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=attributes)
    return Created(arn, {"name": name, "arn": arn, "arnSuffix": arn.rpartition(":")[2]})


@resource("aws:lb/listener:Listener")
def listener(request: ResourceRequest) -> Created:
    certificate = request.get("certificateArn")
    created = request.call(
        "elbv2", "create_listener",
        LoadBalancerArn=request["loadBalancerArn"], Port=request.get("port"),
        Protocol=request.get("protocol", "HTTP"),
        SslPolicy=request.get("sslPolicy"),
        Certificates=[{"CertificateArn": certificate}] if certificate else None,
        DefaultActions=_actions(request["defaultActions"]), Tags=request.tag_list(),
    )["Listeners"][0]  # fmt: skip
    return Created(created["ListenerArn"], {"arn": created["ListenerArn"]})


@resource("aws:lb/listenerRule:ListenerRule")
def listener_rule(request: ResourceRequest) -> Created:
    created = request.call(
        "elbv2", "create_rule",
        ListenerArn=request["listenerArn"], Priority=request["priority"],
        Actions=_actions(request["actions"]),
        Conditions=[_condition(condition) for condition in request["conditions"]], Tags=request.tag_list(),
    )["Rules"][0]  # fmt: skip
    return Created(created["RuleArn"], {"arn": created["RuleArn"]})


def _attributes(request: ResourceRequest, names: dict[str, str]) -> list[dict[str, str]]:
    given = {name: request.get(key) for key, name in names.items()}
    return [{"Key": key, "Value": _text(value)} for key, value in given.items() if value is not None]


def _log_attributes(request: ResourceRequest) -> list[dict[str, str]]:
    logs = request.get("accessLogs")
    if not logs:
        return []
    values = {
        "enabled": logs.get("enabled", False),
        "bucket": logs["bucket"],
        "prefix": logs.get("prefix", ""),
    }
    return [{"Key": f"access_logs.s3.{key}", "Value": _text(value)} for key, value in values.items()]


def _actions(actions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_action(action, order) for order, action in enumerate(actions, start=1)]


def _action(action: dict[str, Any], order: int) -> dict[str, Any]:
    made: dict[str, Any] = {"Type": action["type"], "Order": action.get("order") or order}
    if arn := action.get("targetGroupArn"):
        made["TargetGroupArn"] = arn
    if forward := action.get("forward"):
        groups = [
            {"TargetGroupArn": group["arn"], "Weight": group.get("weight", 1)}
            for group in forward["targetGroups"]
        ]
        made["ForwardConfig"] = {"TargetGroups": groups}
    if redirect := action.get("redirect"):
        made["RedirectConfig"] = _capitalized(redirect)
    if fixed := action.get("fixedResponse"):
        made["FixedResponseConfig"] = _capitalized(fixed)
    return made


def _condition(condition: dict[str, Any]) -> dict[str, Any]:
    for key, name in CONDITION_FIELDS.items():
        if block := condition.get(key):
            values = block["values"]
            return {"Field": name, "Values": values}
    if block := condition.get("httpHeader"):
        config = {"HttpHeaderName": block["httpHeaderName"], "Values": block["values"]}
        return {"Field": "http-header", "HttpHeaderConfig": config}
    raise ValueError(f"a listener rule's condition on {', '.join(condition)} is not known to local AWS")


def _capitalized(block: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: str(value) for key, value in block.items() if value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
