"""The awslogs driver: what a task prints goes to its log file, and from there into its CloudWatch log stream.

The process writes to the file itself, so it never waits for local AWS (the driver's mode `non-blocking`).
"""

import time
from pathlib import Path

from botocore.exceptions import ClientError

from local.aws.client import LocalAws

MOST_LINES_PER_BATCH = 2_000
"""Lines beyond that between two batches stay in the file alone: local AWS keeps all it is given in memory."""

LONGEST_LINE_BYTES = 200_000
READ_BYTES = 4 * 1024 * 1024


class LogShipper:
    """Ships the lines of one file, as the execution role."""

    def __init__(self, path: Path, as_execution_role: LocalAws, group: str, stream: str) -> None:
        self._path = path
        self._aws = as_execution_role
        self._group = group
        self._stream = stream
        self._offset = 0
        self._created = False
        self.failure: str | None = None

    def ship(self) -> None:
        """Puts the lines that were added since into the log stream; `failure` tells why not, if refused."""
        lines, offset = self._new_lines()
        if not lines:
            return
        now_ms = int(time.time() * 1000)
        kept, dropped = lines[:MOST_LINES_PER_BATCH], len(lines) - MOST_LINES_PER_BATCH
        if dropped > 0:
            kept.append(f"{dropped} more lines are only in the task's log file")
        events = [{"timestamp": now_ms, "message": line} for line in kept]
        try:
            self._create_stream()
            where = {"logGroupName": self._group, "logStreamName": self._stream}
            self._aws.call("logs", "put_log_events", **where, logEvents=events)
        except ClientError as error:
            self.failure = f"logs are not shipped to {self._group}: {error}"
            return
        self.failure = None
        self._offset = offset

    def _create_stream(self) -> None:
        if not self._created:
            self._aws.call("logs", "create_log_stream", logGroupName=self._group, logStreamName=self._stream)
            self._created = True

    def _new_lines(self) -> tuple[list[str], int]:
        if not self._path.exists():
            return [], self._offset
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(READ_BYTES)
        complete, newline, _ = data.rpartition(b"\n")
        if not newline:
            return [], self._offset
        lines = [line[:LONGEST_LINE_BYTES].decode("utf-8", "replace") for line in complete.split(b"\n")]
        return [line for line in lines if line.strip()], self._offset + len(complete) + 1
