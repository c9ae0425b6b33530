"""The Valkey client: many commands in one write, answers in order, bounds on time, TLS checked."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop

from app.valkey import (
    COMMAND_TIMEOUT_S,
    LONGEST_STALL_S,
    LOOK_EVERY_S,
    Valkey,
    ValkeyReplyError,
    ValkeyUnavailableError,
)
from local.certificates import CertificateAuthority
from tests.app.conftest import open_valkey
from tests.servers import Relay, ValkeyServer, until


@pytest.fixture
async def client(valkey: ValkeyServer) -> AsyncIterator[Valkey]:
    client = await open_valkey(valkey)
    yield client
    await client.close()


async def test_concurrent_commands_get_their_own_answers(client: Valkey) -> None:
    answers = await asyncio.gather(*(client.execute("ECHO", str(number)) for number in range(1000)))
    assert answers == [str(number).encode() for number in range(1000)]


async def test_commands_of_one_moment_leave_in_one_write(
    client: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = client._connection
    assert connection
    assert connection._transport
    writes: list[bytes] = []
    transport = connection._transport

    class Counting:
        def write(self, data: bytes) -> None:
            writes.append(data)
            transport.write(data)

        def abort(self) -> None:
            transport.abort()

    monkeypatch.setattr(connection, "_transport", Counting())
    await asyncio.gather(*(client.execute("PING") for _ in range(50)))
    assert len(writes) == 1


async def test_an_error_belongs_to_its_command_alone(client: Valkey) -> None:
    asked = [client.execute("ECHO", "a"), client.execute("NONSENSE"), client.execute("ECHO", b"\x00\r\n")]
    good, bad, after = await asyncio.gather(*asked, return_exceptions=True)
    assert (good, after) == (b"a", b"\x00\r\n")
    assert isinstance(bad, ValkeyReplyError)
    assert bad.code == "ERR"


async def test_a_command_whose_asker_left_does_not_shift_the_answers(client: Valkey) -> None:
    left = client.execute("ECHO", "left")
    stayed = client.execute("ECHO", "stayed")
    left.cancel()
    assert await stayed == b"stayed"


async def test_a_slow_server_fails_all_that_wait_and_then_nobody_waits(valkey: ValkeyServer) -> None:
    relay = Relay(valkey.port)

    async def credentials(_refused: bool) -> tuple[str, str]:
        return valkey.username, valkey.password

    client = Valkey(f"redis://127.0.0.1:{relay.port}", credentials, command_timeout_s=0.1)
    await client.open()
    try:
        relay.stall()
        began = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(client.execute("PING") for _ in range(20)), return_exceptions=True)
        assert all(isinstance(answer, ValkeyUnavailableError) for answer in answers)
        assert asyncio.get_running_loop().time() - began < 0.5
        assert client.trouble
        with pytest.raises(ValkeyUnavailableError):
            await asyncio.wait_for(client.execute("PING"), 0.05)
        relay.restore()
        await asyncio.to_thread(until, lambda: client.trouble is None)
        assert await client.execute("PING") == b"PONG"
    finally:
        await client.close()
        relay.close()


async def test_refused_credentials_are_asked_for_again(valkey: ValkeyServer) -> None:
    asked: list[bool] = []

    async def credentials(refused: bool) -> tuple[str, str]:
        asked.append(refused)
        return valkey.username, valkey.password if refused else "old-password"

    client = Valkey(f"redis://127.0.0.1:{valkey.port}", credentials)
    await client.open()
    try:
        await asyncio.to_thread(until, lambda: client.trouble is None)
        assert asked == [False, True]
    finally:
        await client.close()


@pytest.fixture
def tls_valkey(valkey: ValkeyServer, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of a Valkey behind TLS with a certificate for 127.0.0.1, and the authority's certificate."""
    authority = CertificateAuthority(tmp_path, "test")
    certificate = authority.issue("cache", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    relay = Relay(valkey.port, context)
    yield relay.port, authority.certificate_file
    relay.close()


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_checked_against_the_trust_store_of_ssl_cert_file(
    valkey: ValkeyServer,
    tls_valkey: tuple[int, Path],
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    port, authority = tls_valkey
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    async def credentials(_refused: bool) -> tuple[str, str]:
        return valkey.username, valkey.password

    client = Valkey(f"rediss://127.0.0.1:{port}", credentials, command_timeout_s=2)
    await client.open()
    try:
        if trusted:
            assert await client.execute("PING") == b"PONG"
        else:
            assert client.trouble
            assert "certificate is not trusted" in client.trouble
    finally:
        await client.close()


def test_a_process_that_stalls_does_not_take_itself_for_a_slow_server(valkey: ValkeyServer) -> None:
    """Without this an overloaded replica would go on with limits of its own."""

    async def stall() -> None:
        client = await open_valkey(valkey)
        asked = [client.execute("BLPOP", "nothing", "0.05"), client.execute("PING")]
        ours, others = socket.socketpair()
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.remove_reader(ours)
            time.sleep(COMMAND_TIMEOUT_S * 1.5)

        loop.add_reader(ours, work)
        loop.call_later(0.02, others.send, b"work")
        assert await asyncio.gather(*asked) == [None, b"PONG"]
        await client.close()
        ours.close()
        others.close()

    # As the gateway runs: uvloop looks at its timers, then at its connections.
    uvloop.run(stall())


def test_a_crowd_that_holds_up_its_own_process_does_not_make_a_healthy_server_count_as_gone(
    valkey: ValkeyServer,
) -> None:
    """The command of the first of many requests is sent when all have had their turn. The timer that was set
    for it is on time, and the server has hardly had any."""

    async def request(client: Valkey) -> object:
        asked = client.execute("BLPOP", "nothing", "0.05")
        _be_busy(COMMAND_TIMEOUT_S / 20)
        return await asked

    async def crowd() -> None:
        client = await open_valkey(valkey)
        first = asyncio.create_task(request(client))
        for _ in range(17):
            asyncio.get_running_loop().call_soon(_be_busy, COMMAND_TIMEOUT_S / 20)
        assert await first is None
        assert client.trouble is None
        await client.close()

    uvloop.run(crowd())


def test_a_server_that_is_gone_is_left_though_the_process_is_late_again_and_again(
    valkey: ValkeyServer,
) -> None:
    async def wait() -> float:
        relay = Relay(valkey.port)

        async def credentials(_refused: bool) -> tuple[str, str]:
            return valkey.username, valkey.password

        client = Valkey(f"redis://127.0.0.1:{relay.port}", credentials)
        await client.open()
        relay.stall()
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = client.execute("PING")
        while not asked.done():
            _be_busy(LOOK_EVERY_S * 8)
            await asyncio.sleep(0.001)
        assert isinstance(asked.exception(), ValkeyUnavailableError)
        await client.close()
        relay.close()
        return loop.time() - began

    assert COMMAND_TIMEOUT_S < uvloop.run(wait()) < COMMAND_TIMEOUT_S + LONGEST_STALL_S + 1


def _be_busy(seconds: float) -> None:
    time.sleep(seconds)
