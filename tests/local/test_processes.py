import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from infra.config import ROOT
from local.files import read_json, write_json
from local.processes import ProcessRecord, ProcessTable, stop_recorded, sweep, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]
PARENT_OF_ONE = [
    sys.executable,
    "-c",
    f"import subprocess, time; p = subprocess.Popen({SLEEPER!r}); print(p.pid, flush=True); time.sleep(600)",
]


def printed(path: Path) -> str:
    assert wait_until(lambda: path.exists() and path.read_text().endswith("\n"), 10)
    return path.read_text().strip()


def is_gone(pid: int) -> bool:
    """Not there, or a zombie that nobody has reaped yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_gets_exactly_the_environment_it_was_given(processes: ProcessTable, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
    processes.start("env", command, {"ONLY": "this"}, tmp_path, tmp_path / "log")
    assert set(eval(printed(tmp_path / "log"))) - {"LC_CTYPE"} == {"ONLY"}  # noqa: S307 our own output


def test_a_process_leads_a_session_of_its_own(processes: ProcessTable, tmp_path: Path) -> None:
    process = processes.start("sleeper", SLEEPER, {}, tmp_path, tmp_path / "log")
    assert os.getsid(process.pid) == process.pid


def test_what_does_not_listen_to_sigterm_is_killed_after_its_grace(
    processes: ProcessTable, tmp_path: Path
) -> None:
    process = processes.start("deaf", DEAF, {}, tmp_path, tmp_path / "log")
    printed(tmp_path / "log")
    began = time.monotonic()
    process.stop(grace_s=0.3)
    assert process.exit_code == -signal.SIGKILL
    assert time.monotonic() - began >= 0.3


def test_killing_a_process_kills_what_it_started(processes: ProcessTable, tmp_path: Path) -> None:
    process = processes.start("parent", PARENT_OF_ONE, {}, tmp_path, tmp_path / "log")
    child = int(printed(tmp_path / "log"))
    process.kill()
    assert wait_until(lambda: is_gone(child), 5)


def test_the_file_lists_what_runs_and_forgets_what_ended(processes: ProcessTable, tmp_path: Path) -> None:
    process = processes.start("sleeper", SLEEPER, {}, tmp_path, tmp_path / "log")
    assert [entry["pid"] for entry in read_json(tmp_path / "processes.json", [])] == [process.pid]
    process.kill()
    processes.forget(process)
    assert read_json(tmp_path / "processes.json", None) == []


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_processes_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from local.processes import ProcessTable
base = Path(sys.argv[1])
print(ProcessTable(base / "p.json").start("s", {DEAF!r}, {{}}, base, base / "log").pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    printed(tmp_path / "log")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: is_gone(child), 5)


def test_sweeping_ends_what_a_killed_predecessor_left(tmp_path: Path) -> None:
    left = subprocess.Popen(SLEEPER, start_new_session=True)
    write_json(tmp_path / "processes.json", [asdict(ProcessRecord.of("left", left.pid))])
    assert [record.name for record in sweep(tmp_path / "processes.json")] == ["left"]
    assert left.wait(5) == -signal.SIGKILL
    assert not (tmp_path / "processes.json").exists()


def test_sweeping_ends_the_children_of_a_dead_leader(tmp_path: Path) -> None:
    leader = subprocess.Popen(PARENT_OF_ONE, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    leader.stdout.close()
    write_json(tmp_path / "processes.json", [asdict(ProcessRecord.of("leader", leader.pid))])
    os.kill(leader.pid, signal.SIGKILL)
    leader.wait()
    sweep(tmp_path / "processes.json")
    assert wait_until(lambda: is_gone(child), 5)


@pytest.mark.parametrize("change", ["created_at_s", "boot"])
def test_a_stranger_that_was_given_the_same_id_is_left_alone(tmp_path: Path, change: str) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    try:
        record = ProcessRecord.of("ours", stranger.pid)
        other = (
            replace(record, created_at_s=1.0) if change == "created_at_s" else replace(record, boot="another")
        )
        write_json(tmp_path / "processes.json", [asdict(other)])
        assert not other.is_alive
        assert sweep(tmp_path / "processes.json") == []
        stop_recorded(other, grace_s=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
