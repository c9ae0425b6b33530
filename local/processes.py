"""The processes of a stack: started in sessions of their own, recorded, stopped by id, none left behind.

Every process is written to a file with its id and creation time, so that a later run can end what a killed
supervisor left and never touches a stranger that was given the same id.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from local.files import read_json, write_json

TETHER = Path(__file__).with_name("tether.py")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL_S = 0.02
CREATION_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class ProcessRecord:
    """What identifies a process for good: its id alone is given to others after its death."""

    name: str
    pid: int
    created_at_s: float
    boot: str

    @classmethod
    def of(cls, name: str, pid: int) -> "ProcessRecord":
        """The record of a process that runs. Raises psutil.NoSuchProcess."""
        return cls(name, pid, psutil.Process(pid).create_time(), boot_id())

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs (a zombie does not)."""
        if self.boot != boot_id():
            return False
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created_at_s) < CREATION_TOLERANCE_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class ManagedProcess:
    """A process that this process started."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return self._popen.poll()

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def terminate(self) -> None:
        """Asks the process itself to end; its children are its own to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process and all of its session at once."""
        _kill_session(self.pid)
        self._popen.wait()

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL for what is left after `grace_s`."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(grace_s)
        self.kill()

    def _signal(self, number: int) -> None:
        if self.is_alive:
            self._popen.send_signal(number)


class ProcessTable:
    """Starts processes and keeps the file that lists them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._running: dict[int, tuple[ManagedProcess, ProcessRecord]] = {}

    def start(
        self, name: str, command: Sequence[str], env: Mapping[str, str], cwd: Path, log_path: Path
    ) -> ManagedProcess:
        """Starts `command` with exactly `env`; its output is appended to `log_path`.

        To be called from one long-lived thread: Linux counts the death of the thread as the parent's.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        tethered = [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command]
        with log_path.open("ab") as log:
            popen = subprocess.Popen(
                tethered, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        process = ManagedProcess(name, popen, log_path)
        with contextlib.suppress(psutil.NoSuchProcess):
            self._running[popen.pid] = (process, ProcessRecord.of(name, popen.pid))
        self._write()
        return process

    def find(self, pid: int) -> ManagedProcess:
        """The process with that id. Raises KeyError."""
        return self._running[pid][0]

    def forget(self, process: ManagedProcess) -> None:
        """Takes an ended process off the list."""
        self._running.pop(process.pid, None)
        self._write()

    def listed(self) -> list[dict[str, Any]]:
        """Name and id of what runs, in the order of its start."""
        return [{"name": process.name, "pid": process.pid} for process, _ in self._running.values()]

    def stop_all(self, grace_s: float) -> None:
        """Asks all to end at once, gives them `grace_s` together, then kills."""
        processes = [process for process, _ in self._running.values()]
        for process in processes:
            process.terminate()
        wait_until(lambda: not any(p.is_alive for p in processes), grace_s)
        for process in processes:
            process.kill()
            self.forget(process)

    def _write(self) -> None:
        write_json(self._path, [asdict(record) for _, record in self._running.values()])


def sweep(path: Path) -> list[ProcessRecord]:
    """Ends every process listed in `path` that still runs, with its session. Returns what had to be ended."""
    ended = []
    for entry in read_json(path, []):
        record = ProcessRecord(**entry)
        if record.boot == boot_id() and _kill_recorded(record):
            ended.append(record)
    path.unlink(missing_ok=True)
    return ended


def stop_recorded(record: ProcessRecord, grace_s: float) -> None:
    """SIGTERM to a recorded process, and SIGKILL to its session if it still runs after `grace_s`."""
    if not record.is_alive:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    if not wait_until(lambda: not record.is_alive, grace_s):
        _kill_recorded(record)


def wait_until(condition: Any, timeout_s: float) -> bool:
    """Whether `condition()` came true within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def boot_id() -> str:
    """Tells one start of the machine from another, after which every process id means something else."""
    if BOOT_ID.exists():
        return BOOT_ID.read_text().strip()
    return str(round(psutil.boot_time()))


def _kill_recorded(record: ProcessRecord) -> bool:
    """Kills the session that the process leads or led; False if nothing of it ran.

    While a member of a session lives the kernel gives its id to no new process, so either the leader is the
    recorded one, or it is gone and the members are what it left, or the id is a stranger's.
    """
    if psutil.pid_exists(record.pid) and not record.is_alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(record.pid).status() != psutil.STATUS_ZOMBIE:
                return False
    return _kill_session(record.pid)


def _kill_session(session_id: int) -> bool:
    """SIGKILL to every member of a session, until none is left."""
    killed = False
    while members := list(_members(session_id)):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed = True
        wait_until(lambda: not list(_members(session_id)), 1)
    return killed


def _members(session_id: int) -> Iterable[int]:
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session_id and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                yield pid
