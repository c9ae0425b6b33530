import re
from typing import Any

import pytest

from local.balancer.clusters import status_ranges
from local.balancer.deployed import Rule
from local.balancer.routes import UnknownRuleError, route

PORTS = {80: 20080, 443: 20443}
NAMES = {"arn:a": "a", "arn:b": "b"}
FORWARD = {"Type": "forward", "TargetGroupArn": "arn:a"}


def made(action: dict[str, Any], *conditions: dict[str, Any]) -> dict[str, Any]:
    return route(Rule(conditions, action), PORTS, NAMES)


def test_a_rule_without_conditions_forwards_everything() -> None:
    assert made(FORWARD) == {"match": {"prefix": "/"}, "route": {"cluster": "a", "timeout": "0s"}}


def test_weights_divide_a_forward() -> None:
    groups = [{"TargetGroupArn": "arn:a", "Weight": 9}, {"TargetGroupArn": "arn:b", "Weight": 1}]
    forward = made({"Type": "forward", "ForwardConfig": {"TargetGroups": groups}})
    clusters = forward["route"]["weighted_clusters"]["clusters"]
    assert [(item["name"], item["weight"]) for item in clusters] == [("a", 9), ("b", 1)]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/v1/*", "/v1/models", True),
        ("/v1/*", "/v2/models", False),
        ("/v?", "/v1", True),
        ("/a.b", "/axb", False),
    ],
)
def test_path_patterns_have_elbs_wildcards(pattern: str, path: str, matches: bool) -> None:
    match = made(FORWARD, {"Field": "path-pattern", "Values": [pattern]})["match"]
    assert bool(re.fullmatch(match["safe_regex"]["regex"], path)) is matches


def test_hosts_are_compared_without_case_and_port() -> None:
    condition = {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.Example.com"]}}
    (header,) = made(FORWARD, condition)["match"]["headers"]
    expression = header["string_match"]["safe_regex"]["regex"]
    assert header["name"] == ":authority"
    assert re.fullmatch(expression, "api.example.COM:20443")
    assert not re.fullmatch(expression, "example.com")


def test_a_redirect_names_the_local_port() -> None:
    config = {
        "Protocol": "HTTPS",
        "Port": "443",
        "StatusCode": "HTTP_301",
        "Path": "/#{path}",
        "Host": "#{host}",
    }
    redirect = made({"Type": "redirect", "RedirectConfig": config})["redirect"]
    assert redirect == {
        "response_code": "MOVED_PERMANENTLY",
        "scheme_redirect": "https",
        "port_redirect": 20443,
    }


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (Rule((), {"Type": "authenticate-oidc"}), "authenticate-oidc"),
        (Rule(({"Field": "source-ip", "Values": []},), FORWARD), "source-ip"),
        (
            Rule((), {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/other"}}),
            "Path",
        ),
    ],
)
def test_what_the_local_balancer_does_not_know_is_an_error_that_names_it(rule: Rule, named: str) -> None:
    with pytest.raises(UnknownRuleError, match=named):
        route(rule, PORTS, NAMES)


def test_matchers_are_ranges_of_status_codes() -> None:
    assert status_ranges("200") == [{"start": 200, "end": 201}]
    assert status_ranges("200-299, 301") == [{"start": 200, "end": 300}, {"start": 301, "end": 302}]
