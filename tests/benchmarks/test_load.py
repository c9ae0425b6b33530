"""Load counts what was not answered with 200, and repeats a turn in which something was not."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks import load


class Server(ThreadingHTTPServer):
    """Answers 503 as often as it is told, then 200."""

    failures = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 4096
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        failed = self.server.failures > 0
        self.server.failures -= 1
        self.send_response(503 if failed else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(load, "WARM_UP_S", 0)
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def measure(server: Server) -> load.Result:
    return load.measure(
        f"http://127.0.0.1:{server.server_port}",
        "key",
        lambda _number: b"{}",
        pid=os.getpid(),
        seconds=0.3,
        connections=2,
    )


def test_a_turn_with_errors_is_repeated(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.failures = 20
    result = measure(server)
    assert result.errors == 0
    assert result.requests_per_s > 0
    assert "again, because of" in capsys.readouterr().err


def test_errors_are_no_answers(server: Server) -> None:
    server.failures = 10**9
    with pytest.raises(load.LoadError, match="503"):
        measure(server)
