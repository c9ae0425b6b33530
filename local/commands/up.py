"""`up`: starts a stack's supervisor, shows its progress, and returns when the stack answers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

from infra.config import ROOT
from local.commands.down import take_down
from local.components import Components, inherited_environment
from local.face import Face
from local.hint import command
from local.progress import Follower
from local.state import MOCKS, PULUMI, StackFolder, StackState, UpRequest

UPSTREAM_KEY = "openai_base_url"
POLL_S = 0.05
STAND_IN_KEY = "sk-stand-in-takes-any-key"
FAILED, INTERRUPTED, REFUSED = 1, 130, 2


def up(folder: StackFolder, request: UpRequest, face: Face) -> int:
    """Returns the exit code."""
    state = folder.read()
    if state.is_alive and state.state != "stopping":
        return _already_up(folder, state, request, face)
    key = os.environ.get("OPENAI_API_KEY", "") if request.upstream else STAND_IN_KEY
    if not key:
        face.fail(f"OPENAI_API_KEY is not set: {request.upstream} needs a key; export it and run again")
        return REFUSED
    if request.engine == PULUMI and shutil.which("pulumi") is None:
        face.fail("--engine pulumi: there is no pulumi command on the PATH; install the Pulumi CLI")
        return REFUSED
    take_down(folder)
    folder.create()
    folder.clear_logs()
    folder.write_request(request, time.time())
    # SIGINT too: Python leaves it ignored where a shell started this in the background.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    supervisor = _start_supervisor(folder, key)
    try:
        return _follow(folder, supervisor, face)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        face.say("interrupted: stopping what was started")
        supervisor.terminate()
        supervisor.wait()
        take_down(folder)
        face.say("nothing is left running")
        return INTERRUPTED


def upstream_of(upstream: str | None, config: dict[str, str]) -> tuple[str | None, dict[str, str]]:
    """The upstream by either of its names, and the config without it. Raises ValueError when they differ."""
    rest = {key: value for key, value in config.items() if key.rpartition(":")[2] != UPSTREAM_KEY}
    named = next((config[key] for key in config.keys() - rest.keys()), None)
    if upstream and named and upstream != named:
        raise ValueError(
            f"--upstream {upstream} and --config {UPSTREAM_KEY}={named} differ; give one of them"
        )
    return upstream or named, rest


def _already_up(folder: StackFolder, state: StackState, request: UpRequest, face: Face) -> int:
    if request not in (state.request, UpRequest()):
        face.fail(
            f"{folder.stack} is up with other settings ({_shown(state.request)}); to change them run: "
            f"{command('down', folder)}, then this command again"
        )
        return REFUSED
    if state.state == "starting":
        face.say(f"{folder.stack} is already going up; waiting for it")
        return _follow(folder, None, face)
    face.say(f"{folder.stack} is already up with {_shown(state.request)}; nothing was changed")
    face.show(state, folder)
    return 0


def _follow(folder: StackFolder, supervisor: "subprocess.Popen[bytes] | None", face: Face) -> int:
    """Shows progress until the stack runs or its supervisor has ended, which is None if not started here."""
    events = Follower(folder.progress)
    while True:
        for event in events.new_events():
            face.show_event(event)
        state = folder.read()
        if state.state == "running" and state.is_alive:
            face.show(state, folder)
            return 0
        ended = supervisor.poll() is not None if supervisor else not state.is_alive
        if ended:
            for event in events.new_events():
                face.show_event(event)
            if state.state == "stopped" or not folder.read().failure:
                face.fail(f"{folder.stack} did not come up\n{Components.tail(_log(folder))}")
            face.say("everything that was started is stopped")
            return FAILED
        time.sleep(POLL_S)


def _start_supervisor(folder: StackFolder, key: str) -> "subprocess.Popen[bytes]":
    """Detached: a session of its own, and no pipe of the caller's held open."""
    environment = {**inherited_environment(), "OPENAI_API_KEY": key}
    command = [sys.executable, "-m", "local.supervisor", folder.stack, str(folder.path.parent)]
    with _log(folder).open("wb") as log:
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip


def _log(folder: StackFolder) -> Path:
    return folder.logs / "supervisor.log"


def _shown(request: UpRequest) -> str:
    parts = [f"--config {key}={value}" for key, value in request.config.items()]
    parts += [f"--upstream {request.upstream}"] if request.upstream else []
    parts += [f"--engine {request.engine}"] if request.engine != MOCKS else []
    return " ".join(parts) or "no overrides"


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
