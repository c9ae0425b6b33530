"""Serves each task its task role's credentials, as the ECS agent's endpoint does.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html: an SDK in the container asks
the address in AWS_CONTAINER_CREDENTIALS_FULL_URI, and again before they expire.
"""

import datetime
import json
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.ecs.roles import RoleCredentials

RENEW_BEFORE = datetime.timedelta(minutes=15)
PREFIX = "/v2/credentials/"

Source = Callable[[], RoleCredentials]


class CredentialsEndpoint:
    """An HTTP server on a free loopback port; a task's address holds a random id that nobody else knows."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._given: dict[str, RoleCredentials] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="credentials", daemon=True)
        self._thread.start()

    def add(self, source: Source) -> str:
        """Returns the address at which the credentials of `source` are served."""
        identifier = secrets.token_urlsafe(24)
        with self._lock:
            self._sources[identifier] = source
        return f"http://127.0.0.1:{self._server.server_port}{PREFIX}{identifier}"

    def remove(self, address: str) -> None:
        """Serves that address no longer."""
        identifier = address.rpartition("/")[2]
        with self._lock:
            self._sources.pop(identifier, None)
            self._given.pop(identifier, None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> dict[str, Any] | None:
        """What is served at `path`, or None."""
        identifier = path.removeprefix(PREFIX)
        with self._lock:
            source = self._sources.get(identifier)
            if source is None:
                return None
            given = self._given.get(identifier)
            if given is None or given.expires_at - datetime.datetime.now(datetime.UTC) < RENEW_BEFORE:
                given = self._given[identifier] = source()
        return {
            "RoleArn": given.role_arn,
            "AccessKeyId": given.credentials.access_key_id,
            "SecretAccessKey": given.credentials.secret_access_key,
            "Token": given.credentials.session_token,
            "Expiration": given.expires_at.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def _handler(answer: Callable[[str], dict[str, Any] | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(self.path)
            body = json.dumps(found or {"message": "no such credentials"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing: the path is a secret."""

    return Handler
