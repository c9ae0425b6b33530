"""A Valkey client that sends the commands of concurrent requests together over one connection.

Commands that are given in the same turn of the event loop leave in one write, and answers are read as they
come, so a request pays one round trip and the process a fraction of a system call. Every command has a time
bound: a server that answers late is left at once, and until a new connection has proved itself with a PING in
time, commands fail without waiting. Callers decide what a request does without Valkey. Protocol: RESP2,
https://valkey.io/topics/protocol/
"""

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import hiredis

from app.telemetry import log_event

COMMAND_TIMEOUT_S = 0.25
LOOK_EVERY_S = 0.025
STALL_S = 0.02
LONGEST_STALL_S = 2.0
"""Of one command: how long it is this process that is late, before it is Valkey that is gone all the same."""

CONNECT_TIMEOUT_S = 1.0
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 2.0
IDLE_PING_S = 5.0
DEFAULT_PORT = 6379

Argument = bytes | str | int
Told = Callable[[Any], None]
"""Takes a command's reply, or the exception in its place."""

Credentials = tuple[str, str]
CredentialsSource = Callable[[bool], Awaitable[Credentials | None]]
"""Asked before a connection is made; True: the ones given before were refused, look for newer ones."""


class ValkeyUnavailableError(Exception):
    """No answer in time: not connected, connection lost, or too slow."""


class ValkeyReplyError(Exception):
    """The server answered with an error; `code` is its first word."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.split(" ", 1)[0]


class Fragment(NamedTuple):
    """A command's arguments as they go over the wire, spelled once for all commands that share them."""

    number: int
    spelled: bytes


NOTHING = Fragment(0, b"")


def fragment(*arguments: Argument) -> Fragment:
    _, _, spelled = hiredis.pack_command(arguments).partition(b"\r\n")  # type: ignore[arg-type]
    return Fragment(len(arguments), spelled)


def command(head: Fragment, own: tuple[Argument, ...] = (), tail: Fragment = NOTHING) -> bytes:
    """A whole command, from what others share with it and what is its own."""
    spelled = hiredis.pack_command(own)  # type: ignore[arg-type]
    number = len(own)
    # What it spells before the arguments: their number, between an asterisk and the end of a line.
    begins = 4 if number < 10 else spelled.index(b"\n") + 1
    return b"".join((b"*%d\r\n" % (head[0] + number + tail[0]), head[1], spelled[begins:], tail[1]))


# The server will not serve this connection any more: a failover's old primary, a start, a changed user.
_USELESS = frozenset({"READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN"})
_REFUSED = frozenset({"WRONGPASS", "NOAUTH"})
_PING = command(fragment("PING"))


class _Connection(asyncio.Protocol):
    """One connection: packs, sends, matches answers to questions in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        self._loop = loop
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(protocolError=ConnectionError, replyError=ValkeyReplyError)
        self._transport: asyncio.Transport | None = None
        self._outgoing: list[bytes] = []
        # Each with the loop's time when it was asked, and how long this process had been late by then.
        self._waiting: deque[tuple[asyncio.Future[Any] | Told, float, float]] = deque()
        self._watchdog: asyncio.TimerHandle | None = None
        self._look_at = 0.0
        self._stalled_s = 0.0
        self.closed = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, packed: bytes) -> "asyncio.Future[Any]":
        future = self._loop.create_future()
        self.send(packed, future)
        return future

    def send(self, packed: bytes, waiter: "asyncio.Future[Any] | Told") -> None:
        if self.closed.done():
            _tell(waiter, ValkeyUnavailableError("the connection is closed"))
            return
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packed)
        self._waiting.append((waiter, self._loop.time(), self._stalled_s))
        if self._watchdog is None:
            self._watch()

    def _flush(self) -> None:
        if self._transport is not None and self._outgoing and not self.closed.done():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _watch(self) -> None:
        self._look_at = self._loop.time() + LOOK_EVERY_S
        self._watchdog = self._loop.call_at(self._look_at, self._check_oldest)

    def _check_oldest(self) -> None:
        """Gives up when the oldest command has waited too long for the server.

        While this process itself is late, what the server answered in time lies unread, and what was asked is
        not sent yet: that time does not count. It shows in looks that come late. The loop's clock stands
        still between two of its turns, so one look at the end could not tell.
        """
        self._watchdog = None
        if not self._waiting:
            return
        now = self._loop.time()
        late_s = now - self._look_at
        if late_s > STALL_S:
            self._stalled_s += late_s
        _, asked_at, stalled_before_s = self._waiting[0]
        stalled_s = min(self._stalled_s - stalled_before_s, LONGEST_STALL_S)
        if now - asked_at - stalled_s > self._timeout_s:
            self.fail("no answer in time")
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            reply = self._reader.gets()
            while reply is not False:
                _tell(self._waiting.popleft()[0], reply)
                if isinstance(reply, ValkeyReplyError) and reply.code in _USELESS:
                    self.fail(f"the server answered {reply.code}")
                reply = self._reader.gets()
        except (ConnectionError, IndexError):
            self.fail("the answer is not RESP")

    def connection_lost(self, _reason: Exception | None) -> None:
        self.fail("the connection was lost")

    def fail(self, reason: str) -> None:
        """Ends the connection and every command that waits on it."""
        if self.closed.done():
            return
        self.closed.set_result(reason)
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._transport is not None:
            self._transport.abort()
        while self._waiting:
            waiter = self._waiting.popleft()[0]
            _tell(waiter, ValkeyUnavailableError(reason))


def _tell(waiter: "asyncio.Future[Any] | Told", reply: Any) -> None:
    if not isinstance(waiter, asyncio.Future):
        waiter(reply)
    elif waiter.done():
        pass
    elif isinstance(reply, Exception):
        waiter.set_exception(reply)
        # A write that nobody waits for must not be reported as an exception that nobody saw.
        waiter.exception()
    else:
        waiter.set_result(reply)


class Valkey:
    """Commands to one server, which is connected to, and connected to again, in the background."""

    def __init__(
        self, url: str, credentials: CredentialsSource, *, command_timeout_s: float = COMMAND_TIMEOUT_S
    ) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or DEFAULT_PORT)
        # The default trust store: what SSL_CERT_FILE names, otherwise the system's.
        self._tls = ssl.create_default_context() if parts.scheme == "rediss" else None
        self._credentials = credentials
        self._command_timeout_s = command_timeout_s
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self.trouble: str | None = "not connected yet"

    async def open(self) -> None:
        """Starts connecting, and waits until the first attempt has succeeded or failed."""
        self._keeper = asyncio.create_task(self._keep_connected())
        await self._tried.wait()

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._connection is not None:
            self._connection.fail("the gateway is stopping")

    def execute(self, *command: Argument) -> "asyncio.Future[Any]":
        """Sends a command with others of this moment.

        The future raises ValkeyUnavailableError or ValkeyReplyError.
        """
        return self.ask(hiredis.pack_command(command))  # type: ignore[arg-type]

    def ask(self, packed: bytes) -> "asyncio.Future[Any]":
        """The same for what `command` has made."""
        if self._connection is not None:
            return self._connection.ask(packed)
        future = asyncio.get_running_loop().create_future()
        _tell(future, ValkeyUnavailableError(self.trouble or "not connected"))
        return future

    def tell(self, packed: bytes, told: Told) -> None:
        """The same for whom a call is enough, with the reply or its exception; perhaps at once."""
        if self._connection is None:
            told(ValkeyUnavailableError(self.trouble or "not connected"))
        else:
            self._connection.send(packed, told)

    async def _keep_connected(self) -> None:
        retry_s = FIRST_RETRY_S
        refused = False
        while True:
            began = asyncio.get_running_loop().time()
            try:
                connection = await self._connect(refused)
            except (OSError, ValkeyUnavailableError, ValkeyReplyError, TimeoutError) as failure:
                refused = isinstance(failure, ValkeyReplyError) and failure.code in _REFUSED
                self._down(_reason(failure))
            else:
                refused = False
                self._connection, self.trouble = connection, None
                log_event("cache_connected")
                self._tried.set()
                reason = await self._until_closed(connection)
                self._connection = None
                self._down(reason)
                if asyncio.get_running_loop().time() - began > LONGEST_RETRY_S:
                    retry_s = FIRST_RETRY_S
            self._tried.set()
            # Full jitter: replicas that lost the server together must not come back together.
            await asyncio.sleep(random.uniform(0, retry_s))  # noqa: S311
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    def _down(self, reason: str) -> None:
        if self.trouble != reason:
            log_event("cache_unavailable", level="warning", reason=reason)
        self.trouble = reason

    async def _connect(self, refused: bool) -> _Connection:
        loop = asyncio.get_running_loop()
        credentials = await self._credentials(refused)
        host, port = self._address
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(
                lambda: _Connection(loop, self._command_timeout_s),
                host,
                port,
                ssl=self._tls,
                server_hostname=host if self._tls else None,
            )
        try:
            if credentials is not None:
                await connection.ask(command(fragment("AUTH", *credentials)))
            # Answers in time only when the server is fast enough to be of use.
            await connection.ask(_PING)
        except BaseException:
            connection.fail("the connection could not be used")
            raise
        return connection

    async def _until_closed(self, connection: _Connection) -> str:
        while True:
            done, _ = await asyncio.wait({connection.closed}, timeout=IDLE_PING_S)
            if done:
                return str(connection.closed.result())
            # Its own time bound finds a peer that vanished without a word.
            connection.send(_PING, lambda _pong: None)


def _reason(failure: Exception) -> str:
    if isinstance(failure, ValkeyReplyError):
        return f"the server answered {failure.code}"
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {failure.verify_message}"
    if isinstance(failure, TimeoutError):
        return "no connection in time"
    if isinstance(failure, ValkeyUnavailableError):
        return str(failure)
    return f"no connection: {type(failure).__name__}"
