"""DynamoDB behind a door that cancels transactions, as AWS does when two meet on an item; moto never does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

CANCELLED = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException",'
    b'"CancellationReasons":[{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}],'
    b'"Message":"Transaction cancelled, please refer cancellation reasons for specific reasons '
    b'[TransactionConflict]"}'
)
_DROPPED = {"connection", "content-length", "date", "server", "transfer-encoding"}


class Collisions:
    """A server at `url` that passes on what it is asked. left: how many transactions it still cancels."""

    def __init__(self, target_url: str) -> None:
        self.left = 0
        self._lock = threading.Lock()
        self._transport = httpx2.Client(trust_env=False, timeout=30)
        here = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if here._cancels(self.headers["X-Amz-Target"]):
                    self._answer(400, {"Content-Type": "application/x-amz-json-1.0"}, CANCELLED)
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                passed = here._transport.post(target_url, content=body, headers=headers)
                self._answer(passed.status_code, passed.headers, passed.content)

            def _answer(self, status: int, headers: Any, content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in _DROPPED:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._transport.close()

    def _cancels(self, target: str) -> bool:
        with self._lock:
            cancels = self.left > 0 and target.endswith(".TransactWriteItems")
            self.left -= cancels
        return cancels
