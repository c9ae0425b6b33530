"""Runs the Pulumi program itself, with every resource created on local AWS.

The program is the repository's `__main__.py`, unchanged; its config comes from `Pulumi.yaml`, the stack's
file and overrides, as the engine would hand it over. What the engine does beyond that is not done here: no
preview, no state, no diff, no resource hooks.
"""

import logging
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import settings, stack
from pulumi.runtime.sync_await import _sync_await

from infra.config import ROOT, read_files
from local.aws.client import LocalAws
from local.provider.mocks import CreatedResource, LocalAwsMocks, plain


@dataclass(frozen=True)
class Deployment:
    """What a run of the program made. outputs: the stack's; resources: in the order of their creation."""

    outputs: dict[str, Any]
    resources: list[CreatedResource]


class ProgramError(Exception):
    """The program failed, or a resource could not be created; the message says which and why."""


def run_program(
    stack_name: str,
    aws: LocalAws,
    overrides: Mapping[str, str],
    report: Callable[[CreatedResource], None],
    root: Path = ROOT,
) -> Deployment:
    """Deploys a stack. May be called once per process: Pulumi's runtime is global.

    report: is told of each resource as it is created, from several threads.
    Raises ProgramError, and infra.config.ConfigError for a config that the program refuses.
    """
    project, config = read_files(stack_name, overrides, root)
    resources: list[CreatedResource] = []

    def record(created: CreatedResource) -> None:
        resources.append(created)
        report(created)

    mocks = LocalAwsMocks(aws, record)
    pulumi.runtime.set_all_config(config)
    pulumi.runtime.set_mocks(mocks, project, stack_name, preview=False, logger=_logger())
    outputs = _run(root / "__main__.py", mocks)
    return Deployment(outputs, resources)


def _run(program: Path, mocks: LocalAwsMocks) -> dict[str, Any]:
    outputs: dict[str, Any] = {}

    async def run() -> None:
        runpy.run_path(str(program), run_name="__main__")

    async def collect() -> None:
        root = settings.get_root_resource()
        for name, value in root.outputs.items() if isinstance(root, stack.Stack) else ():
            outputs[name] = plain(await pulumi.Output.from_input(value).future())

    async def deploy() -> None:
        await stack.run_pulumi_func(run)
        await collect()

    try:
        _sync_await(deploy())
    except Exception as error:
        # The runtime wraps a handler's error in its own; the handler's says more.
        cause = mocks.failures[0] if mocks.failures else error
        if not mocks.failures and type(error).__name__ == "ConfigError":
            raise
        raise ProgramError(describe(cause)) from cause
    if mocks.failures:
        raise ProgramError(describe(mocks.failures[0])) from mocks.failures[0]
    return outputs


def describe(error: BaseException) -> str:
    """An error with what was being done when it happened."""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {error}{notes}"


def _logger() -> logging.Logger:
    """The engine's log, of which warnings are shown."""
    logger = logging.getLogger("pulumi.program")
    logger.setLevel(logging.WARNING)
    return logger
