"""The cache as a whole: Valkey, the TLS in front of it, and the deployed users that log in to it."""

from local.aws.client import LocalAws
from local.cache.deployed import DeployedCache, deployed_cache
from local.cache.proxy import start_proxy
from local.cache.server import CacheServer
from local.certificates import CertificateAuthority
from local.envoy import Envoy
from local.processes import ProcessTable
from local.state import StackFolder

PROXY_CONCURRENCY = 1


class LocalCache:
    """The deployed replication group on this machine."""

    def __init__(
        self, aws: LocalAws, folder: StackFolder, table: ProcessTable, authority: CertificateAuthority
    ) -> None:
        self._aws = aws
        self._folder = folder
        self._table = table
        self._authority = authority
        self._server = CacheServer(folder.cache, folder.logs / "valkey.log")
        self._proxy: Envoy | None = None
        self._applied: DeployedCache | None = None

    def start(self) -> None:
        """Serves what is deployed, if a cache is. Raises CacheServerError or EnvoyError."""
        deployed = self._deployed()
        if deployed is None:
            return
        self._server.start(self._table)
        self._server.apply(deployed)
        self._applied = deployed
        log_path = self._folder.logs / "cache-proxy.log"
        self._proxy = start_proxy(
            self._folder.cache, log_path, self._table, self._authority, deployed.port, self._server.port,
            deployed.serves_tls,
        )  # fmt: skip

    def step(self) -> None:
        """Takes up users, passwords and parameters that were changed."""
        deployed = self._deployed()
        if deployed is not None and deployed != self._applied:
            self._server.apply(deployed)
            self._applied = deployed

    def revive(self) -> list[str]:
        """Restarts what died; Valkey comes back empty, as a node that was replaced."""
        revived = []
        if self._applied is not None and not self._server.is_alive:
            self._server.restart(self._table)
            self._server.apply(self._applied)
            revived.append("valkey")
        if self._proxy is not None and not self._proxy.is_alive:
            self._proxy.restart(self._table, PROXY_CONCURRENCY)
            revived.append("cache-proxy")
        return revived

    def _deployed(self) -> DeployedCache | None:
        return deployed_cache(self._aws, self._folder.exchange)
