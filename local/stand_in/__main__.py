"""Serves the stand-in: `python -m local.stand_in --host 127.0.0.1 --port N [--key sk-…]`.

Port 0, the default, takes a free one. Says where it listens in one JSON line on standard output. Its own
endpoints are described in `server.py`.
"""

import argparse
import json
import os

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from local.stand_in.server import CUT, StandIn


class CuttingProtocol(HttpToolsProtocol):
    """uvicorn's, with a way for the application to break the connection off, which ASGI does not have."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"abort": self.transport.abort}}


class AnnouncedServer(uvicorn.Server):
    """uvicorn, saying where it listens."""

    async def startup(self, *arguments: object, **named: object) -> None:
        await super().startup(*arguments, **named)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            print(json.dumps({"event": "serving", "host": host, "port": port}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.stand_in", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    parser.add_argument(
        "--key",
        default=os.environ.get("STAND_IN_KEY"),
        help="the only key that is accepted; also from STAND_IN_KEY, which other users cannot read (any key)",
    )
    arguments = parser.parse_args()
    config = uvicorn.Config(
        StandIn(arguments.key),
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http=CuttingProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )
    AnnouncedServer(config).run()


if __name__ == "__main__":
    main()
