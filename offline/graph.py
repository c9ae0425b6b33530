"""The whole graph of a stack, as the program registers it, without AWS.

Each program runs in a process of its own: Pulumi's runtime is global, and a second program in the same
process would inherit the first one's. These processes are forked from one that has imported the provider,
which takes most of the time. What is recorded is what was registered, never something inside an `apply`,
which may not run.

    python -m offline.graph staging '{"aws:region": "us-west-2"}'     prints the graph as JSON
"""

import json
import logging
import multiprocessing
import os
import runpy
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings, stack
from pulumi.runtime.sync_await import _sync_await

from infra.config import ROOT, ConfigError, read_files
from offline.answers import Answers, plain
from policy.resource import Resource


@dataclass(frozen=True)
class Registered(Resource):
    """A resource with all that was registered of it. inputs: as given. secret_inputs: which were secret.
    depends_on: URNs, those of its inputs' sources included. hooks: moment -> names."""

    urn: str = ""
    parent: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    secret_inputs: Sequence[str] = ()
    depends_on: Sequence[str] = ()
    hooks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    custom: bool = True


@dataclass(frozen=True)
class StackGraph:
    """invokes: (token, arguments, provider) of every data source. warnings: what the program said."""

    resources: Sequence[Registered]
    invokes: Sequence[tuple[str, Mapping[str, Any], str]]
    outputs: Mapping[str, Any]
    warnings: Sequence[str]

    def all(self, kind: str) -> list[Registered]:
        """Every resource, components left out, whose type ends in `:kind`."""
        return [r for r in self.resources if r.custom and r.type.endswith(f":{kind}")]

    def one(self, kind: str, name: str | None = None) -> Registered:
        """The only resource of a kind, or the one with that name. Raises LookupError."""
        found = [r for r in self.all(kind) if name is None or r.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} of {kind} {name or ''}: {[r.name for r in found]}")
        return found[0]

    def by_id(self, resource_id: str) -> Registered:
        """The resource that has this id."""
        [found] = [r for r in self.resources if r.get("id") == resource_id]
        return found

    def waits_for(self, urn: str) -> set[str]:
        """URNs of everything that must be there before the resource, however indirectly."""
        direct = {r.urn: set(r.depends_on) for r in self.resources}
        seen: set[str] = set()
        waiting = [urn]
        while waiting:
            for found in direct.get(waiting.pop(), set()) - seen:
                seen.add(found)
                waiting.append(found)
        return seen


RECORDED_WITHIN_S = 60

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["offline.graph", "offline.imported"])


class ProgramError(Exception):
    """The program refused the config or failed; the message is what it said."""


def record(name: str, overrides: Mapping[str, str] | None = None) -> StackGraph:
    """The graph of stack `name` with `overrides` (key -> value) of its config, by running the program anew.

    Raises ProgramError.
    """
    ours, its = _PROCESSES.Pipe()
    program = _PROCESSES.Process(target=_send_graph, args=(its, name, dict(overrides or {})), daemon=True)
    program.start()
    its.close()
    try:
        found = ours.recv() if ours.poll(RECORDED_WITHIN_S) else "The program did not end in time."
    except EOFError:
        found = "The program ended without a word."
    finally:
        program.kill()
        program.join()
    if isinstance(found, str):
        raise ProgramError(found)
    return StackGraph(**found)


def _send_graph(connection: Connection, name: str, overrides: Mapping[str, str]) -> None:
    """Sends what a StackGraph consists of, or what the program said when it failed."""
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), sys.stderr.fileno())
        try:
            found: Any = vars(run_program(name, overrides))
        except ConfigError as error:
            found = str(error)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            said.seek(0)
            found = said.read().decode(errors="replace").strip()
        connection.send(found)


class Recorder(mocks.MockMonitor):
    """Records what the mocks are not told: options, dependencies, hooks."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self.registered: list[Registered] = []
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type == "pulumi:pulumi:Stack":
            return response
        wire = rpc.deserialize_properties(request.object)
        state = self.resources[response.urn]
        registered = Registered(
            type=request.type,
            name=request.name,
            properties={**plain(state.state), "id": state.id},
            provider=request.provider.split("::")[-2] if request.provider else None,
            protect=request.protect,
            ignore_changes=list(request.ignoreChanges),
            urn=response.urn,
            parent=request.parent,
            inputs=plain(wire),
            secret_inputs=sorted(key for key, value in wire.items() if holds_secret(value)),
            depends_on=sorted(request.dependencies),
            hooks={moment.name: list(names) for moment, names in request.hooks.ListFields()},
            custom=request.custom,
        )
        with self._lock:
            self.registered.append(registered)
        return response


def holds_secret(value: Any) -> bool:
    """Whether a property is secret or has a secret inside."""
    if rpc.is_rpc_secret(value):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(holds_secret, inner))


class Warnings(logging.Handler):
    """What the program tells the person who runs it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def run_program(name: str, overrides: Mapping[str, str]) -> StackGraph:
    """Run `__main__.py` as the engine would. Once per process."""
    project, config = read_files(name, overrides)
    answers = Answers(config["aws:region"])
    recorder = Recorder(answers)
    warnings = Warnings()
    logger = logging.getLogger("pulumi-program")
    logger.propagate = False
    logger.addHandler(warnings)
    pulumi.runtime.set_all_config(config)
    pulumi.runtime.set_mocks(answers, project, name, preview=False, logger=logger, monitor=recorder)
    outputs: dict[str, Any] = {}

    async def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    async def run() -> None:
        await stack.run_pulumi_func(program)
        root = settings.get_root_resource()
        for key, value in root.outputs.items() if isinstance(root, stack.Stack) else ():
            outputs[key] = await pulumi.Output.from_input(value).future()

    _sync_await(run())
    return StackGraph(recorder.registered, answers.invokes, outputs, warnings.texts)


if __name__ == "__main__":
    try:
        recorded = run_program(sys.argv[1], json.loads(sys.argv[2] if sys.argv[2:] else "{}"))
    except ConfigError as error:
        sys.exit(str(error))
    print(json.dumps(asdict(recorded)))
