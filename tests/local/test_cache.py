"""The cache as clients find it: TLS, the deployed users and their passwords, on a real Valkey."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.cache.deployed import CacheUser, DeployedCache
from local.cache.proxy import start_proxy
from local.cache.server import CacheServer, CacheServerError
from local.certificates import CertificateAuthority
from local.ports import free_port
from local.processes import ProcessTable

PASSWORD, OTHER = "a" * 20, "b" * 20


def user(name: str, access: str, password: str) -> CacheUser:
    return CacheUser(name, name, access, (hashlib.sha256(password.encode()).hexdigest(),), True)


def deployed(*users: CacheUser, policy: str = "volatile-ttl") -> DeployedCache:
    return DeployedCache("group", 0, True, {"maxmemory-policy": policy, "cluster-enabled": "no"}, users)


GATEWAY = user("gateway", "on ~* &* -@all +@read +@write +@connection +info", PASSWORD)
NOBODY = user("default", "off ~* -@all", PASSWORD)


@dataclass
class RunningCache:
    server: CacheServer
    port: int
    authority: CertificateAuthority

    def client(
        self, password: str = PASSWORD, name: str = "gateway", ca_file: Path | None = None
    ) -> "redis.Redis":
        return redis.Redis(
            host="127.0.0.1", port=self.port, ssl=True,
            ssl_ca_certs=str(ca_file or self.authority.certificate_file), ssl_check_hostname=True,
            username=name, password=password, socket_timeout=5, retry=Retry(NoBackoff(), 0),
        )  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, processes: ProcessTable) -> RunningCache:
    authority = CertificateAuthority(tmp_path / "certificates", "test")
    server = CacheServer(tmp_path / "cache", tmp_path / "valkey.log")
    server.start(processes)
    server.apply(deployed(GATEWAY, NOBODY))
    port = free_port()
    start_proxy(
        tmp_path / "proxy", tmp_path / "proxy.log", processes, authority, port, server.port, serves_tls=True
    )
    return RunningCache(server, port, authority)


def test_the_deployed_user_and_password_are_let_in(cache: RunningCache) -> None:
    with cache.client() as client:
        client.set("key", "value", ex=60)
        assert client.get("key") == b"value"
        assert client.info("memory")["maxmemory_policy"] == "volatile-ttl"


def test_a_wrong_password_is_refused(cache: RunningCache) -> None:
    with cache.client(password=OTHER) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_default_user_is_nobody(cache: RunningCache) -> None:
    with cache.client(name="default") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_client_that_trusts_another_authority_refuses_the_cache(
    cache: RunningCache, tmp_path: Path
) -> None:
    other = CertificateAuthority(tmp_path / "other", "other")
    untrusting = cache.client(ca_file=other.certificate_file)
    with untrusting, pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        untrusting.ping()


def test_a_client_without_tls_gets_nowhere(cache: RunningCache) -> None:
    plain = redis.Redis(
        host="127.0.0.1", port=cache.port, username="gateway", password=PASSWORD, socket_timeout=5
    )
    with plain, pytest.raises((redis.ConnectionError, redis.InvalidResponse)):
        plain.ping()


def test_what_the_access_string_leaves_out_is_refused(cache: RunningCache) -> None:
    with cache.client() as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.config_set("maxmemory", "1")


def test_a_changed_password_takes_effect_and_cuts_no_connection(cache: RunningCache) -> None:
    with cache.client() as before:
        before.ping()
        cache.server.apply(deployed(user("gateway", GATEWAY.access_string, OTHER), NOBODY))
        assert before.ping()
        with cache.client(password=OTHER) as after:
            assert after.ping()
        with cache.client() as late, pytest.raises(redis.AuthenticationError):
            late.ping()


def test_a_user_that_is_no_longer_deployed_is_gone(cache: RunningCache) -> None:
    cache.server.apply(deployed(NOBODY))
    with cache.client() as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_an_access_string_that_valkey_refuses_is_an_error_that_names_the_user(cache: RunningCache) -> None:
    with pytest.raises(CacheServerError, match="gateway"):
        cache.server.apply(deployed(user("gateway", "on ~* +@nonsense", PASSWORD)))


def test_a_restarted_valkey_is_empty_and_has_its_users_again(
    cache: RunningCache, processes: ProcessTable
) -> None:
    with cache.client() as client:
        client.set("key", "value")
    assert cache.server.process is not None
    cache.server.process.kill()
    assert not cache.server.is_alive
    cache.server.restart(processes)
    cache.server.apply(deployed(GATEWAY, NOBODY))
    with cache.client() as client:
        assert client.get("key") is None
