"""The whole graph of a stack, as the program registers it, without AWS.

Each program runs in a process of its own: Pulumi's runtime is global, and a second program in the same
process would inherit the first one's. What is recorded is what was registered, never something inside an
`apply`, which may not run.

    python -m offline.graph staging '{"aws:region": "us-west-2"}'     prints the graph as JSON
"""

import json
import logging
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
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


class ProgramError(Exception):
    """The program refused the config or failed; the message is what it said."""


def record(name: str, overrides: Mapping[str, str] | None = None) -> StackGraph:
    """The graph of stack `name` with `overrides` (key -> value) of its config, by running the program anew.

    Raises ProgramError.
    """
    run = subprocess.run(
        [sys.executable, "-m", "offline.graph", name, json.dumps(overrides or {})],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if run.returncode != 0:
        raise ProgramError(run.stderr.strip())
    found = json.loads(run.stdout)
    resources = [Registered(**entry) for entry in found["resources"]]
    invokes = [tuple(entry) for entry in found["invokes"]]
    return StackGraph(resources, invokes, found["outputs"], found["warnings"])


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
