"""A small HTTP server to balance between: `python -m tests.local.backend PORT`; port 0 takes a free one.

GET /healthz answers 200, or 503 after POST /fail; GET /slow?SECONDS answers late; anything else returns the
request's headers and the server's port as JSON.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Backend(ThreadingHTTPServer):
    """Counts its requests but for health checks."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.healthy = True
        self.requests = 0

    @property
    def port(self) -> int:
        return self.server_port

    def start(self) -> "Backend":
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Backend
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200 if self.server.healthy else 503, {})
            return
        self.server.requests += 1
        if self.path.startswith("/slow?"):
            time.sleep(float(self.path.partition("?")[2]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(200, {"port": self.server.port, "path": self.path, "headers": headers})

    def do_POST(self) -> None:
        self.server.healthy = self.path != "/fail"
        self._answer(200, {})

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Server", "backend")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    Backend(int(sys.argv[1])).serve_forever()
