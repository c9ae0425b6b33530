"""`python -m local.demo`: exits with 0 when every scene came out as it must, else with 1."""

import argparse
import contextlib
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai

from infra.config import ROOT
from local.demo.evidence import Evidence, NoEvidenceError
from local.demo.scenes import SCENES
from local.demo.stage import DemoFailedError, Scene, Stage

STACK = "staging"
FOLDER = ROOT / ".local" / "demo"
"""The demo's own state, so that a stack that somebody keeps up is left alone."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; the stack is torn down however it ends."""
    argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Brings the staging stack up on this machine, sends it real requests, and takes it down.",
    ).parse_args(arguments)
    started = time.monotonic()
    with _alone():
        with _stack() as stack:
            played = stack is not None and _play_all(stack)
        if not played:
            return 1
        seconds = time.monotonic() - started
        print(f"Everything came out as it must, in {seconds:.0f} s, and the stack is gone again.")
        print("Next: make up keeps one, and README.md says how to deploy it.")
        return 0


def _play_all(stack: dict[str, Any]) -> bool:
    evidence = Evidence(stack)
    url, transport = evidence.base_url, httpx2.Client(verify=evidence.trust(), trust_env=False)
    client = openai.OpenAI(base_url=url, api_key=stack["api_key"], http_client=transport)
    owner = openai.OpenAI(base_url=url, admin_api_key=stack["admin_key"], http_client=transport)
    stage = Stage(evidence, client, owner)
    print(f"\nStack {stack['stack']} answers at {evidence.base_url}\n")
    return all(play(number, scene, stage) for number, scene in enumerate(SCENES, 1))


def play(number: int, scene: Scene, stage: Stage) -> bool:
    """Prints what comes of a scene; False when it failed."""
    print(f"{number}  {scene.__doc__}")
    try:
        for line in scene(stage):
            print(f"   {line}")
    except (DemoFailedError, NoEvidenceError, openai.OpenAIError) as error:
        print(f"   FAILED     {type(error).__name__}: {error}", file=sys.stderr)
        return False
    print()
    return True


@contextlib.contextmanager
def _stack() -> Iterator[dict[str, Any] | None]:
    """The stack, up; None when it could not be brought up, which has then said why."""
    _local("down", stderr=subprocess.DEVNULL)
    try:
        up = _local("up", "--json", stdout=subprocess.PIPE)
        yield json.loads(up.stdout) if up.returncode == 0 else None
    finally:
        _local("down")


def _local(
    command: str, *options: str, stdout: int | None = None, stderr: int | None = None
) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "local", command, STACK, "--folder", str(FOLDER), *options]
    return subprocess.run(line, cwd=ROOT, stdout=stdout, stderr=stderr, text=True, check=False)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Waits for another demo in this clone; the lock goes with its process, however that ends."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another demo runs in this folder; waiting for it to end.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _interrupted() -> int:
    print("\nInterrupted; the stack was torn down.", file=sys.stderr)
    return 130


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(_interrupted())
