"""Serves the gateway: `python -m app`, configured by the environment alone.

On SIGTERM the health checks fail first, so that a balancer looks elsewhere; requests and streams that run are
served to their end within the stop timeout; then the process ends with 0. A second signal ends it at once.
"""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Generator

import uvicorn

from app import settings
from app.lifecycle import Lifecycle, plan_stop
from app.protocol import BoundedProtocol
from app.server import Application
from app.telemetry import configure_logging, log_event

BAD_SETTINGS = 2
COLLECT_AFTER_ALLOCATIONS = 20_000


class GracefulServer(uvicorn.Server):
    """uvicorn, with a notice before it stops to listen."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, notice_s: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._notice_s = notice_s
        self._listening_until = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own ends the process by the signal; a graceful stop is a success and exits with 0.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    async def startup(self, *arguments: object, **named: object) -> None:
        await super().startup(*arguments, **named)  # type: ignore[arg-type]
        if self.started:
            # What is loaded by now stays: the collector need not walk through it, while requests wait, again
            # and again. Nor need it look for cycles every few requests: they leave hardly any.
            gc.collect()
            gc.freeze()
            gc.set_threshold(COLLECT_AFTER_ALLOCATIONS)
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            log_event("serving", host=host, port=port)

    async def on_tick(self, counter: int) -> bool:
        if self._lifecycle.draining:
            late = asyncio.get_running_loop().time() >= self._listening_until
            if late or not self.server_state.connections:
                self.should_exit = True
        return await super().on_tick(counter)

    def _stop(self) -> None:
        if self._lifecycle.draining:
            self.should_exit = self.force_exit = True
            return
        log_event("stopping", connections=len(self.server_state.connections))
        self._lifecycle.draining = True
        self._listening_until = asyncio.get_running_loop().time() + self._notice_s


def main() -> int:
    """Serves until told to stop. Returns the exit code."""
    try:
        configured = settings.load()
    except settings.SettingsError as problems:
        print(f"The gateway cannot start with this environment:\n{problems}", file=sys.stderr)  # noqa: T201
        return BAD_SETTINGS
    configure_logging()
    lifecycle = Lifecycle()
    stop = plan_stop(configured.stop_timeout_s)
    config = uvicorn.Config(
        Application(configured, lifecycle, stop),
        host=configured.host,
        port=configured.port,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=configured.keep_alive_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=stop.requests_s,  # type: ignore[arg-type]
    )
    GracefulServer(config, lifecycle, stop.notice_s).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
