"""The TLS of the cache's endpoint: an Envoy that decrypts and passes on to Valkey."""

from pathlib import Path

from local.certificates import CertificateAuthority
from local.envoy import Envoy, server_tls, socket_address, typed
from local.processes import ProcessTable

CLUSTER = "valkey"


def start_proxy(
    folder: Path, log_path: Path, table: ProcessTable, authority: CertificateAuthority, port: int,
    valkey_port: int, serves_tls: bool,
) -> Envoy:  # fmt: skip
    """Serves `port` of 127.0.0.1 in front of Valkey. Raises EnvoyError."""
    proxy = Envoy("cache-proxy", folder, log_path)
    tcp_proxy = typed(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        {"stat_prefix": CLUSTER, "cluster": CLUSTER, "idle_timeout": "0s"},
    )
    chain = {"filters": [tcp_proxy]}
    if serves_tls:
        certificate = authority.issue("cache", ["localhost", "127.0.0.1"])
        chain["transport_socket"] = server_tls(certificate.chain, certificate.key)  # type: ignore[assignment]
    proxy.set_listeners(
        [
            {
                "name": "cache",
                "address": socket_address(port),
                "enable_reuse_port": False,
                "filter_chains": [chain],
            }
        ]
    )
    endpoint = {"endpoint": {"address": socket_address(valkey_port)}}
    proxy.set_clusters(
        [
            {
                "name": CLUSTER,
                "type": "STATIC",
                "connect_timeout": "2s",
                "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
            }
        ]
    )
    proxy.start(table, concurrency=1)
    proxy.wait_for_listeners([port])
    return proxy
