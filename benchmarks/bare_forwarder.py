"""What the gateway's parts cost without a gateway: raw ASGI that forwards a request and its answer.

python -m benchmarks.bare_forwarder http://127.0.0.1:PORT/v1
"""

import json
import sys
from typing import Any

import aiohttp
import uvicorn
from starlette.types import Receive, Scope, Send


class BareForwarder:
    """Forwards every request to one base URL, with its key and body as they are."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=1000)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        message = await receive()
        body = message["body"]
        while message.get("more_body", False):
            message = await receive()
            body += message["body"]
        authorization = next(value for name, value in scope["headers"] if name == b"authorization")
        async with self._session.post(
            self._base_url + scope["path"].removeprefix("/v1"),
            data=body,
            headers={"Authorization": authorization.decode(), "Content-Type": "application/json"},
        ) as answer:
            head: dict[str, Any] = {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(b"content-type", answer.headers["content-type"].encode())],
            }
            if answer.content_type == "text/event-stream":
                await send(head)
                while chunk := await answer.content.readany():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                data = await answer.read()
                head["headers"].append((b"content-length", str(len(data)).encode()))
                await send(head)
                await send({"type": "http.response.body", "body": data})


class AnnouncedServer(uvicorn.Server):
    """uvicorn, saying where it listens."""

    async def startup(self, *arguments: object, **named: object) -> None:
        await super().startup(*arguments, **named)  # type: ignore[arg-type]
        print(
            json.dumps({"event": "serving", "port": self.servers[0].sockets[0].getsockname()[1]}), flush=True
        )


def main() -> None:
    config = uvicorn.Config(
        BareForwarder(sys.argv[1]),
        port=0,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    AnnouncedServer(config).run()


if __name__ == "__main__":
    main()
