"""Target groups as Envoy clusters: health checks, balancing and timeouts as deployed."""

from typing import Any

from local.balancer.deployed import HealthCheck, Target, TargetGroup
from local.envoy import socket_address, typed

CONNECT_TIMEOUT = "10s"
"""An ALB waits 10 seconds for a target to accept a connection (user guide, troubleshooting, HTTP 504)."""

UNLIMITED = 1_000_000_000
FAIL_OPEN_BELOW_PERCENT = 1
"""With no healthy target an ALB sends requests to all; Envoy does below this share of healthy ones."""


def cluster(group: TargetGroup, idle_timeout_s: int, endpoints: dict[str, Any]) -> dict[str, Any]:
    """endpoints: Envoy's source of the targets."""
    http = typed(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        {
            "explicit_http_config": {"http_protocol_options": {}},
            "common_http_protocol_options": {"idle_timeout": f"{idle_timeout_s}s"},
        },
    )
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), UNLIMITED)
    return {
        "name": group.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": endpoints, "service_name": group.name},
        "connect_timeout": CONNECT_TIMEOUT,
        "load_balancing_policy": {"policies": [{"typed_extension_config": _balancing(group)}]},
        "health_checks": [_health_check(group.health_check)],
        "ignore_health_on_host_removal": True,
        "common_lb_config": {
            "healthy_panic_threshold": {"value": FAIL_OPEN_BELOW_PERCENT},
            # Else Envoy gathers changes for a second, in which a draining target is still given requests.
            "update_merge_window": "0s",
        },
        "circuit_breakers": {"thresholds": [{**limits, "max_retries": UNLIMITED}]},
        "typed_extension_protocol_options": {http["name"]: http["typed_config"]},
    }


def _balancing(group: TargetGroup) -> dict[str, Any]:
    """Least outstanding requests of all targets, where Envoy by itself compares two at random."""
    if group.least_outstanding_requests:
        kind, options = "least_request.v3.LeastRequest", {"selection_method": "FULL_SCAN"}
    else:
        kind, options = "round_robin.v3.RoundRobin", {}
    name = kind.partition(".")[0]
    prefix = "load_balancing_policies"
    return typed(f"envoy.{prefix}.{name}", f"extensions.{prefix}.{kind}", options)


def endpoint(target: Target, draining: bool) -> dict[str, Any]:
    """A target; one that drains finishes its requests and is given no new ones."""
    made: dict[str, Any] = {"endpoint": {"address": socket_address(target.port)}}
    return made | ({"health_status": "DRAINING"} if draining else {})


def status_ranges(matcher: str) -> list[dict[str, int]]:
    """`200-299,301` as ranges with an end that does not belong to them."""
    ranges = []
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        ranges.append({"start": int(first), "end": int(last or first) + 1})
    return ranges


def _health_check(check: HealthCheck) -> dict[str, Any]:
    interval = f"{check.interval_s}s"
    return {
        "timeout": f"{check.timeout_s}s",
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "healthy_threshold": check.healthy_threshold,
        "unhealthy_threshold": check.unhealthy_threshold,
        "http_health_check": {"path": check.path, "expected_statuses": status_ranges(check.matcher)},
        "always_log_health_check_failures": False,
    }
