"""A listener's rules as Envoy routes: conditions, forwards, redirects and fixed responses."""

import re
from collections.abc import Mapping
from typing import Any

from local.balancer.deployed import Rule

REDIRECT_CODES = {"HTTP_301": "MOVED_PERMANENTLY", "HTTP_302": "FOUND"}
REDIRECT_PARTS = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
"""Parts of a redirect's address that keep what was asked for, as ELBv2 writes it."""


class UnknownRuleError(Exception):
    """A deployed rule uses what the local load balancer does not know."""


def route(rule: Rule, ports: Mapping[int, int], cluster_names: Mapping[str, str]) -> dict[str, Any]:
    """ports: deployed port -> local port; cluster_names: target group ARN -> Envoy cluster.

    Raises UnknownRuleError.
    """
    match: dict[str, Any] = {"prefix": "/"}
    headers = [
        _header_match(condition) for condition in rule.conditions if condition["Field"] != "path-pattern"
    ]
    for condition in rule.conditions:
        if condition["Field"] == "path-pattern":
            match = {"safe_regex": {"regex": _any_of(_values(condition))}}
    return {
        "match": match | ({"headers": headers} if headers else {}),
        **_action(rule.action, ports, cluster_names),
    }


def _action(
    action: Mapping[str, Any], ports: Mapping[int, int], cluster_names: Mapping[str, str]
) -> dict[str, Any]:
    match action["Type"]:
        case "forward":
            # Only the idle timeout of the listener ends a request, as on an ALB.
            return {"route": {**_destination(action, cluster_names), "timeout": "0s"}}
        case "redirect":
            return {"redirect": _redirect(action["RedirectConfig"], ports)}
        case "fixed-response":
            config = action["FixedResponseConfig"]
            body = {"inline_string": config.get("MessageBody") or ""}
            kind = {"key": "content-type", "value": config.get("ContentType") or "text/plain"}
            return {
                "direct_response": {"status": int(config["StatusCode"]), "body": body},
                "response_headers_to_add": [{"header": kind, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            }
        case other:
            raise UnknownRuleError(f"the local load balancer does not know the action {other}")


def _destination(action: Mapping[str, Any], cluster_names: Mapping[str, str]) -> dict[str, Any]:
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [
        {"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}
    ]
    if len(groups) == 1:
        return {"cluster": cluster_names[groups[0]["TargetGroupArn"]]}
    weighted = [
        {"name": cluster_names[group["TargetGroupArn"]], "weight": int(group.get("Weight", 1))}
        for group in groups
    ]
    return {"weighted_clusters": {"clusters": weighted}}


def _redirect(config: Mapping[str, Any], ports: Mapping[int, int]) -> dict[str, Any]:
    for part, kept in REDIRECT_PARTS.items():
        if config.get(part, kept) != kept:
            raise UnknownRuleError(
                f"the local load balancer keeps the {part} of a redirect, not {config[part]}"
            )
    made: dict[str, Any] = {"response_code": REDIRECT_CODES[config["StatusCode"]]}
    if (protocol := config.get("Protocol", "#{protocol}")) != "#{protocol}":
        made["scheme_redirect"] = str(protocol).lower()
    if (port := str(config.get("Port", "#{port}"))) != "#{port}":
        made["port_redirect"] = ports.get(int(port), int(port))
    return made


def _header_match(condition: Mapping[str, Any]) -> dict[str, Any]:
    names = {"host-header": ":authority", "http-request-method": ":method"}
    field = condition["Field"]
    if field == "http-header":
        name = condition["HttpHeaderConfig"]["HttpHeaderName"]
    elif field in names:
        name = names[field]
    else:
        raise UnknownRuleError(f"the local load balancer does not know the condition {field}")
    port = "(:[0-9]+)?" if field == "host-header" else ""
    expression = f"(?i){_any_of(_values(condition))}{port}"
    return {"name": name, "string_match": {"safe_regex": {"regex": expression}}}


def _values(condition: Mapping[str, Any]) -> list[str]:
    """ELBv2 describes values by themselves or in a block named after the field."""
    blocks = [value for key, value in condition.items() if key.endswith("Config") and value]
    values: list[str] = condition.get("Values") or (blocks[0]["Values"] if blocks else [])
    return values


def _any_of(patterns: list[str]) -> str:
    """Patterns with the wildcards * and ? as one regular expression."""
    made = [re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns]
    return f"({'|'.join(made)})"
