"""Owns a running stack, as a program: `python -m local.supervisor STACK FOLDER`.

Detached from whoever started it. Starts every part in order, then looks after them until it is told to end
(SIGTERM) or a part that cannot be restarted dies; either way nothing is left running.
"""

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from redis import RedisError

from infra.config import ROOT
from local.components import StartError
from local.processes import ProcessRecord, sweep
from local.progress import Progress
from local.runtime import Runtime
from local.state import StackFolder, StackState, UpRequest

BUSY_INTERVAL_S = 0.1
IDLE_INTERVAL_S = 1.0
MOST_FAILURES_IN_SUCCESSION = 20
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"


class StopRequested(BaseException):
    """SIGTERM or SIGINT came."""


class Supervisor:
    """One stack's life."""

    def __init__(self, folder: StackFolder, request: UpRequest, started_at: float) -> None:
        self._folder = folder
        self._progress = Progress(folder.progress, started_at)
        self._runtime = Runtime(folder, request, self._progress, ROOT)
        self._state = StackState(
            folder.stack, "starting", ProcessRecord.of("supervisor", os.getpid()), request
        )

    def run(self) -> int:
        """Returns the exit code: 0 after a stop that was asked for."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _request_stop)
        self._folder.write(self._state)
        try:
            self._start()
            self._watch()
        except StopRequested:
            self._finish("stopped", None)
            return 0
        except StartError as error:
            self._finish("failed", str(error))
        except Exception as error:
            traceback.print_exc()
            self._finish("failed", f"{type(error).__name__}: {error}")
        return 1

    def _start(self) -> None:
        facts = self._runtime.start(os.environ.pop(OPENAI_KEY_VARIABLE))
        for name, value in facts.items():
            setattr(self._state, name, value)
        self._describe()
        self._state.state = "running"
        self._folder.write(self._state)
        self._progress.tell("ready", "the stack answers")

    def _watch(self) -> None:
        failures = 0
        while True:
            time.sleep(IDLE_INTERVAL_S if self._runtime.is_settled else BUSY_INTERVAL_S)
            for name in self._runtime.revive():
                print(f"{name} died and was started again", file=sys.stderr)
            try:
                self._runtime.step()
                failures = 0
            except (OSError, BotoCoreError, ClientError, RedisError) as error:
                # A part that is about to be restarted, or local AWS under load; not for ever.
                failures += 1
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                if failures >= MOST_FAILURES_IN_SUCCESSION:
                    raise
            if self._describe():
                self._folder.write(self._state)

    def _describe(self) -> bool:
        """Takes up what runs; whether anything changed."""
        told: dict[str, Any] = self._runtime.describe()
        changed = any(getattr(self._state, name) != value for name, value in told.items())
        for name, value in told.items():
            setattr(self._state, name, value)
        return changed

    def _finish(self, state: Any, failure: str | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self._state.state, self._state.failure = "stopping", failure
        self._folder.write(self._state)
        self._runtime.stop()
        if failure:
            self._progress.tell("failed", failure)
        self._folder.forget()
        if failure:
            self._folder.write(StackState(self._folder.stack, state, failure=failure))


def main(folder: StackFolder) -> int:
    lock = folder.lock()
    if lock is None:
        print(f"another supervisor runs stack {folder.stack}", file=sys.stderr)
        return 3
    sweep(folder.processes)
    request, started_at = folder.read_request()
    return Supervisor(folder, request, started_at).run()


def _request_stop(_number: int, _frame: object) -> None:
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main(StackFolder(Path(sys.argv[2]), sys.argv[1])))
