"""Many deadlines of one length, kept by one timer: nearly all are cleared long before they pass.

A timer of the event loop for each request costs several times what is done here.
"""

import asyncio
from types import TracebackType
from typing import Protocol


class Bounded(Protocol):
    """Something that has to be over in time."""

    def passed(self) -> None:
        """It was not."""


class Deadlines:
    """Deadlines of length_s from when they are set, on whichever event loop runs."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._open: dict[Bounded, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def set(self, what: Bounded) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._open, self._timer, self._loop = {}, None, loop
        due = self._open[what] = loop.time() + self._length_s
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)

    def clear(self, what: Bounded) -> None:
        self._open.pop(what, None)

    def within(self) -> "Within":
        """Like asyncio.timeout: raises TimeoutError when the block takes longer."""
        return Within(self)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._timer = None
        # All have the same length, so those that were set first are due first.
        while self._open:
            what, due = next(iter(self._open.items()))
            if due > now:
                break
            del self._open[what]
            what.passed()
        if self._open:
            if self._timer is not None:
                # One that passed was set anew.
                self._timer.cancel()
            self._timer = loop.call_at(next(iter(self._open.values())), self._look)


class Within:
    """See `Deadlines.within`."""

    __slots__ = ("_cancelling", "_deadlines", "_passed", "_task")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task to end")
        self._task = task
        self._cancelling = task.cancelling()
        self._deadlines.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._deadlines.clear(self)
        # Cancelled for another reason as well, it stays cancelled.
        if self._passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from exception

    def passed(self) -> None:
        self._passed = True
        self._task.cancel()
