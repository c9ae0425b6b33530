"""The end of the process, in its order and its time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from app.telemetry import log_event, log_exception

LONGEST_NOTICE_S = 3.0
LONGEST_CLOSING_S = 3.0


@dataclass(slots=True)
class Lifecycle:
    """Where the process stands. draining: it was told to stop, serves what it has, and asks for no more."""

    draining: bool = False


@dataclass(frozen=True, slots=True)
class StopPlan:
    """How the time from SIGTERM to SIGKILL is spent, in seconds.

    notice_s: new connections are still taken, until a balancer has seen the health check fail. requests_s:
    what runs is served to its end. closing_s: what is left is told so, and the parts close, the last first.
    """

    notice_s: float
    requests_s: float
    closing_s: float


def plan_stop(stop_timeout_s: float) -> StopPlan:
    notice_s = min(LONGEST_NOTICE_S, stop_timeout_s / 4)
    closing_s = min(LONGEST_CLOSING_S, stop_timeout_s / 4)
    return StopPlan(notice_s, stop_timeout_s - notice_s - closing_s, closing_s)


class Closing:
    """Closes what was added, in reverse order, at the end of its block.

    A part that hangs gets half of the time that is left, so that those after it have theirs; a part that
    fails is logged. Neither keeps the others from closing.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._parts: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def add(self, part: str, close: Callable[[], Awaitable[None]]) -> None:
        """`part` is its name in the log."""
        self._parts.append((part, close))

    async def __aenter__(self) -> "Closing":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within_s
        while self._parts:
            part, close = self._parts.pop()
            try:
                async with asyncio.timeout((deadline - loop.time()) / 2):
                    await close()
            except TimeoutError:
                log_event("not_closed_in_time", level="warning", part=part)
            except Exception as failure:
                log_exception("not_closed", failure, part=part)
