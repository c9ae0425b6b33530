"""What happens while a stack goes up, as lines of JSON in a file: written by the supervisor, read by `up`."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["step", "resource", "note", "failed", "ready"]


@dataclass(frozen=True)
class Event:
    """kind: `step` is finished work of the runtime, `resource` a created resource. seconds: what it took."""

    kind: Kind
    text: str
    at_s: float
    seconds: float | None = None


class Progress:
    """Appends events; may be called from several threads and processes."""

    def __init__(self, path: Path, started_at: float | None = None) -> None:
        self._path = path
        self.started_at = time.time() if started_at is None else started_at
        self._lock = threading.Lock()

    def tell(self, kind: Kind, text: str, seconds: float | None = None) -> None:
        event = Event(kind, text, round(time.time() - self.started_at, 3), seconds)
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")


class Follower:
    """Reads the events that were added since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_events(self) -> Iterator[Event]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        complete, newline, _ = data.rpartition(b"\n")
        if newline:
            self._offset += len(complete) + 1
            for line in complete.splitlines():
                yield Event(**json.loads(line))
