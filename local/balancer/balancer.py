"""Keeps Envoy as the load balancer is deployed, and tells local AWS which targets are healthy."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.aws.client import LocalAws
from local.balancer.clusters import cluster, endpoint
from local.balancer.deployed import DeployedBalancer, Target, deployed_balancer, registered_targets
from local.balancer.listeners import listener
from local.certificates import CertificateAuthority
from local.envoy import Envoy
from local.ports import free_port
from local.processes import ProcessTable

CONCURRENCY = 1


@dataclass(frozen=True)
class TargetHealth:
    """What Envoy knows of a target. requests: since the target was added; active: in flight now."""

    healthy: bool
    checked: bool
    draining: bool
    requests: int
    active: int


class LoadBalancer:
    """Serves the deployed listeners on free ports of 127.0.0.1."""

    def __init__(
        self, aws: LocalAws, folder: Path, logs: Path, authority: CertificateAuthority,
        clock: Callable[[], float] = time.monotonic, name: str | None = None,
    ) -> None:  # fmt: skip
        """name: of the load balancer; None takes the only one there is."""
        self._aws = aws
        self._name = name
        self._clock = clock
        self._authority = authority
        self._access_log = logs / "balancer-access.log"
        self._envoy = Envoy("balancer", folder, logs / "balancer.log")
        self._deployed: DeployedBalancer | None = None
        self._leaving: dict[str, dict[Target, float]] = {}
        self._members: dict[str, set[Target]] = {}
        self._endpoints: dict[str, list[dict[str, Any]]] = {}
        self._health: dict[str, dict[Target, TargetHealth]] = {}
        self._requests: dict[Target, int] = {}
        self.requests_served = 0
        self.ports: dict[int, int] = {}

    @property
    def deployed(self) -> DeployedBalancer | None:
        return self._deployed

    def start(self, table: ProcessTable, hosts: list[str]) -> None:
        """Serves what is deployed. hosts: names of the certificate. Raises EnvoyError."""
        deployed = deployed_balancer(self._aws, self._name)
        if deployed is None:
            return
        self._certificate = self._authority.issue("balancer", hosts)
        self._apply(deployed)
        self._envoy.start(table, CONCURRENCY)
        self._envoy.wait_for_listeners(list(self.ports.values()))

    def revive(self, table: ProcessTable) -> list[str]:
        """Restarts Envoy if it died; the targets' counters start anew."""
        if self._deployed is None or self._envoy.is_alive:
            return []
        self._envoy.restart(table, CONCURRENCY)
        return ["balancer"]

    def reload(self) -> None:
        """Takes up what changed in the deployed listeners, rules and target groups."""
        deployed = deployed_balancer(self._aws, self._name)
        if deployed is not None and deployed != self._deployed:
            self._apply(deployed)

    def step(self) -> None:
        """Takes up registered and deregistered targets, and reads their health."""
        if self._deployed is None:
            return
        self._health = self._read_health()
        self._count_requests()
        for group in self._deployed.target_groups:
            registered = registered_targets(self._aws, group.arn)
            leaving = self._leaving.setdefault(group.arn, {})
            for target in list(leaving):
                if target in registered or self._is_done(group.arn, target, leaving[target]):
                    self._members[group.arn].discard(target)
                    del leaving[target]
            for target in self._members[group.arn] - registered - leaving.keys():
                leaving[target] = self._clock() + group.deregistration_delay_s
            self._set_endpoints(group.arn, group.name, registered, set(leaving))

    def health(self, target_group_arn: str) -> Mapping[Target, TargetHealth]:
        """The targets of a group and how they do, as of the last step."""
        return self._health.get(target_group_arn, {})

    def has_left(self, target_group_arn: str, target: Target) -> bool:
        """Whether a target that was deregistered has finished its requests or its time is over."""
        return target not in self._members.get(target_group_arn, set())

    def is_healthy(self, target_group_arn: str, target: Target) -> bool | None:
        """None for a target that is not known or not yet checked."""
        seen = self._health.get(target_group_arn, {}).get(target)
        return seen.healthy if seen is not None and seen.checked else None

    def requests_in_flight(self) -> int:
        """Asks Envoy. Raises OSError when it is gone."""
        health = self._read_health()
        return sum(seen.active for targets in health.values() for seen in targets.values())

    def is_draining(self, target_group_arn: str, target: Target) -> bool:
        """Whether Envoy has stopped giving it requests, as of the last step asked of it."""
        seen = self._read_health().get(target_group_arn, {}).get(target)
        return seen is None or seen.draining

    def observed(self) -> dict[str, list[dict[str, Any]]]:
        """The targets' states as local AWS is to tell them; see `local.aws.exchange.observed`."""
        return {
            arn: [
                self._observed(target, seen, target in self._leaving.get(arn, {}))
                for target, seen in targets.items()
            ]
            for arn, targets in self._health.items()
        }

    def _apply(self, deployed: DeployedBalancer) -> None:
        for item in deployed.listeners:
            self.ports.setdefault(item.port, free_port())
        names = {group.arn: group.name for group in deployed.target_groups}
        for group in deployed.target_groups:
            self._set_endpoints(group.arn, group.name, registered_targets(self._aws, group.arn), set())
        self._envoy.set_clusters(
            [
                cluster(group, deployed.idle_timeout_s, self._envoy.endpoints_source(group.name))
                for group in deployed.target_groups
            ]
        )
        self._envoy.set_listeners(
            [
                listener(
                    item, self.ports, deployed.idle_timeout_s, names, self._certificate, self._access_log
                )
                for item in deployed.listeners
            ]
        )
        self._deployed = deployed

    def _set_endpoints(self, arn: str, name: str, registered: set[Target], leaving: set[Target]) -> None:
        self._members[arn] = registered | leaving
        endpoints = [endpoint(target, target in leaving) for target in sorted(registered | leaving)]
        if self._endpoints.get(arn) != endpoints:
            self._envoy.set_endpoints(name, endpoints)
            self._endpoints[arn] = endpoints

    def _is_done(self, arn: str, target: Target, deadline: float) -> bool:
        """An ALB ends the wait early when nothing is in flight; here that counts once Envoy gives no more."""
        seen = self._health.get(arn, {}).get(target)
        return seen is None or (seen.draining and seen.active == 0) or self._clock() >= deadline

    def _count_requests(self) -> None:
        """Adds what each target served since; a counter that went back belongs to a new target or Envoy."""
        counts = {target: seen.requests for group in self._health.values() for target, seen in group.items()}
        for target, count in counts.items():
            before = self._requests.get(target, 0)
            self.requests_served += count - before if count >= before else count
        self._requests = counts

    def _read_health(self) -> dict[str, dict[Target, TargetHealth]]:
        arns = {group.name: group.arn for group in self._deployed.target_groups} if self._deployed else {}
        clusters = self._envoy.admin("/clusters?format=json").get("cluster_statuses", [])
        return {
            arns[item["name"]]: dict(_target_health(host) for host in item.get("host_statuses", []))
            for item in clusters
            if item["name"] in arns
        }

    @staticmethod
    def _observed(target: Target, seen: TargetHealth, leaving: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"id": target.host, "port": target.port}
        if leaving:
            reason = {"reason": "Target.DeregistrationInProgress"}
            return told | {"state": "draining", **reason}
        if seen.healthy:
            return told | {"state": "healthy"}
        if not seen.checked:
            return told | {"state": "initial", "reason": "Elb.InitialHealthChecking"}
        return told | {"state": "unhealthy", "reason": "Target.FailedHealthChecks"}


def _target_health(host: dict[str, Any]) -> tuple[Target, TargetHealth]:
    address = host["address"]["socket_address"]
    counts = {stat["name"]: int(stat.get("value", 0)) for stat in host.get("stats", [])}
    status = host.get("health_status", {})
    pending = bool(status.get("pending_active_hc"))
    failed = bool(status.get("failed_active_health_check"))
    seen = TargetHealth(
        healthy=not failed and not pending,
        checked=not pending,
        draining=status.get("eds_health_status") == "DRAINING",
        requests=counts.get("rq_total", 0),
        active=counts.get("rq_active", 0),
    )
    return Target(address["address"], address["port_value"]), seen
