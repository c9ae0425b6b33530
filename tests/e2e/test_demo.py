"""`make demo`: every scene comes out as it must, and nothing outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import psutil
import pytest

from infra.config import ROOT
from local.demo.__main__ import FOLDER, play
from local.demo.evidence import Evidence
from local.demo.scenes import SCENES
from local.demo.stage import DemoFailedError, Stage
from local.processes import wait_until

ENDS_WITHIN_S = 120


@pytest.fixture
def stage(stack: dict[str, Any], evidence: Evidence, client: openai.OpenAI) -> Iterator[Stage]:
    with openai.OpenAI(base_url=evidence.base_url, admin_api_key=stack["admin_key"]) as owner:
        yield Stage(evidence, client, owner)


def test_every_scene_comes_out_as_it_must(stage: Stage) -> None:
    assert all(play(number, scene, stage) for number, scene in enumerate(SCENES, 1))


def test_a_scene_that_fails_is_told(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: Stage) -> Iterator[str]:
        """A broken part"""
        yield "answer     fine so far"
        raise DemoFailedError("the cache did not answer")

    assert not play(1, broken, stage)
    assert "FAILED     DemoFailedError: the cache did not answer" in capsys.readouterr().err


def demo() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_running() -> list[str]:
    """Command lines of processes that work in the demo's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = [*(process.info["cmdline"] or []), *(process.info["environ"] or {}).values()]
        if any(str(FOLDER) in word for word in words) and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_the_demo_succeeds_after_one_that_was_killed_and_leaves_nothing_running() -> None:
    killed = demo()
    state = FOLDER / "staging" / "state.json"
    assert wait_until(lambda: state.exists() and '"running"' in state.read_text(), ENDS_WITHIN_S)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert killed.stdout
    killed.stdout.close()

    whole = demo()
    output, _ = whole.communicate(timeout=ENDS_WITHIN_S)
    assert whole.returncode == 0, output
    assert all(str(scene.__doc__) in output for scene in SCENES)
    assert "sk-gw-" not in output
    assert left_running() == []
