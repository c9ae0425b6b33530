"""Runs the Pulumi program by a real engine, with every resource created on local AWS.

The engine is the `pulumi` command of whoever runs this; nothing here installs it. State and history live in a
folder of the local stack and go with it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.config import REGION_KEY, ROOT, load_file, read_files
from local.aws.client import LocalAws
from local.engine.promotion import TARGETS, put_promoted
from local.program import Deployment, ProgramError
from local.provider.mocks import CreatedResource

PLUGINS = {"pulumi-resource-aws": "pulumi-aws", "pulumi-resource-docker-build": "pulumi-docker-build"}
"""Plugin executables the engine looks for, and the SDK package whose resources each serves."""

POLL_S = 0.1


def run_engine(
    stack_name: str,
    aws: LocalAws,
    overrides: Mapping[str, str],
    report: Callable[[CreatedResource], None],
    folder: Path,
    root: Path = ROOT,
) -> Deployment:
    """Deploys a stack as `pulumi up` does. folder: for the engine's own files.

    report: is told of each resource as the engine's events name it. A stack that runs a given image gets its
    registry first, and the image into it, as with `infra.promote`.
    Raises ProgramError when there is no `pulumi` command or the update fails, with what the engine said.
    """
    if shutil.which("pulumi") is None:
        raise ProgramError(
            "there is no pulumi command on the PATH; install the Pulumi CLI, or leave out --engine"
        )
    _install_plugins(folder)
    _lay_out_project(folder / "project", stack_name, overrides, root)
    pulumi(folder, aws, "stack", "select", "--create", stack_name)
    resources: list[CreatedResource] = []

    def record(created: CreatedResource) -> None:
        resources.append(created)
        report(created)

    if digest := load_file(stack_name, overrides, root).image_digest:
        _up(folder, aws, stack_name, record, TARGETS)
        put_promoted(aws, pulumi(folder, aws, "stack", "output", "repository_url").strip(), digest)
    _up(folder, aws, stack_name, record)
    outputs = pulumi(folder, aws, "stack", "output", "--json", "--show-secrets")
    return Deployment(json.loads(outputs), resources)


def pulumi(folder: Path, aws: LocalAws, *arguments: str) -> str:
    """What the command prints, run in the project that `run_engine` laid out in `folder`.

    Raises ProgramError with its complaint.
    """
    command = ["pulumi", *arguments, "--non-interactive"]
    run = subprocess.run(
        command,
        cwd=folder / "project",
        env=_environment(folder, aws),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise ProgramError(f"pulumi {arguments[0]} failed: {(run.stderr or run.stdout).strip()}")
    return run.stdout


def _lay_out_project(project: Path, stack_name: str, overrides: Mapping[str, str], root: Path) -> None:
    """The repository by links, with a stack file of its own: the engine writes into that one."""
    project.mkdir(parents=True, exist_ok=True)
    for path in root.iterdir():
        link = project / path.name
        if path.name not in {".git", ".local", ".venv"} and not link.is_symlink():
            link.symlink_to(path)
    # The program runs in the environment that runs this, whatever made it.
    venv = project / ".venv"
    venv.unlink(missing_ok=True)
    venv.symlink_to(sys.prefix)
    stack_file = project / f"Pulumi.{stack_name}.yaml"
    stack_file.unlink(missing_ok=True)
    _, config = read_files(stack_name, overrides, root)
    stack_file.write_text(json.dumps({"config": {REGION_KEY: config.pop(REGION_KEY), **config}}))


def _install_plugins(folder: Path) -> None:
    for name in ("home", "state", "plugins"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for executable, sdk in PLUGINS.items():
        script = folder / "plugins" / executable
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m local.engine.plugin {sdk} "$@"\n')
        script.chmod(0o700)


def _environment(folder: Path, aws: LocalAws) -> dict[str, str]:
    """The engine keeps to its folder, finds our plugins and no others, and talks to local AWS alone."""
    return {
        **os.environ,
        **aws.environment(),
        "PATH": f"{folder / 'plugins'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "local",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Without it `pulumi up` knows no --event-log, which its automation API uses too.
        "PULUMI_DEBUG_COMMANDS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _up(
    folder: Path,
    aws: LocalAws,
    stack_name: str,
    report: Callable[[CreatedResource], None],
    arguments: Sequence[str] = (),
) -> None:
    """Runs `pulumi up` and reports each custom resource when it has been created."""
    events, log = folder / "events.jsonl", folder / "up.log"
    events.write_text("")
    command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never",
               "--stack", stack_name, "--event-log", str(events), *arguments]  # fmt: skip
    with log.open("wb") as output, events.open() as lines:
        process = subprocess.Popen(
            command,
            cwd=folder / "project",
            env=_environment(folder, aws),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for created in _created(lines, process):
                report(created)
        finally:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        raise ProgramError(f"pulumi up failed:\n{complaint(log.read_text())}")


def _created(lines: Any, process: "subprocess.Popen[bytes]") -> Iterator[CreatedResource]:
    started: dict[str, int] = {}
    rest = ""
    while True:
        ended = process.poll() is not None
        rest += lines.read()
        *whole, rest = rest.split("\n")
        for line in whole:
            created = created_by(json.loads(line), started)
            if created is not None:
                yield created
        if ended:
            return
        try:
            process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue


def created_by(event: Mapping[str, Any], started: dict[str, int]) -> CreatedResource | None:
    """The resource that an event says was created. started: URN -> when, in whole s since the epoch."""
    before, after = event.get("resourcePreEvent"), event.get("resOutputsEvent")
    metadata = (before or after or {}).get("metadata")
    if metadata is None or not metadata["type"].startswith(("aws:", "docker-build:")):
        return None
    if metadata["op"] == "same":
        return None
    urn = metadata["urn"]
    if before is not None:
        started[urn] = event["timestamp"]
        return None
    seconds = float(event["timestamp"] - started.get(urn, event["timestamp"]))
    return CreatedResource(metadata["type"], urn.rpartition("::")[2], metadata["new"]["id"], seconds)


def complaint(log: str) -> str:
    """The errors that the engine names at its end, without what they brought down with them."""
    diagnostics = log[log.rfind("Diagnostics:") :].split("\n")
    errors = [line.strip() for line in diagnostics if line.startswith("    error: ")]
    told = [line for line in errors if not line.startswith(_CONSEQUENCES)]
    if errors and not told:
        # The program's own failure: the engine's line has no more of it than that there was one.
        told = [line.strip() for line in diagnostics if _RAISED.match(line)][-1:]
    return "\n".join(told or errors) or log[-4000:].strip()


_RAISED = re.compile(r" {4}[\w.]*(?:Error|Exception): ")
"""The last line of a traceback."""

_CONSEQUENCES = ("error: update failed", "error: Program failed with an unhandled exception")
