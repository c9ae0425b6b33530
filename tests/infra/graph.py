"""The whole graph of a stack, as the program registers it, without AWS.

Each program runs in a process of its own: Pulumi's runtime is global, and a second program in the same
process would inherit the first one's. What is asserted on is what was registered, never something inside an
`apply`, which may not run.

    python -m tests.infra.graph staging '{"aws:region": "us-west-2"}'     prints the graph as JSON
"""

import json
import logging
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, mocks, rpc, settings, stack
from pulumi.runtime.sync_await import _sync_await

from infra.config import ROOT, read_files
from policy.resource import Resource

ACCOUNT = "123456789012"
ZONES = {"us-west-1": 2}


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
        """The only resource of a kind, or the one with that name."""
        found = [r for r in self.all(kind) if name is None or r.name == name]
        assert len(found) == 1, f"{len(found)} of {kind} {name or ''}: {[r.name for r in found]}"
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


@cache
def stack_graph(name: str, **overrides: str) -> StackGraph:
    """The graph of stack `name`; overrides are config values (`aws_region` for `aws:region`)."""
    return run_in_own_process(
        name, {key.replace("aws_region", "aws:region"): value for key, value in overrides.items()}
    )


def run_in_own_process(name: str, overrides: Mapping[str, str] | None = None) -> StackGraph:
    """Run the program anew. AssertionError with what it said when it fails."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.infra.graph", name, json.dumps(overrides or {})],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    resources = [Registered(**entry) for entry in found["resources"]]
    invokes = [tuple(entry) for entry in found["invokes"]]
    return StackGraph(resources, invokes, found["outputs"], found["warnings"])


class Recorder(mocks.MockMonitor):
    """Records what the mocks are not told: options, dependencies, hooks."""

    def __init__(self, answers: "Answers") -> None:
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


class Answers(mocks.Mocks):
    """Ids and outputs in the form AWS gives them, so that references can be followed and addresses read."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.invokes: list[tuple[str, Any, str]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = plain(args.inputs)
        if not args.custom:
            return "", inputs
        service, _, kind = args.typ.split(":")[1].partition("/")
        arn = f"arn:aws:{service}:{self.region}:{ACCOUNT}:{kind}/{args.name}"
        outputs = {"arn": arn, "name": f"{args.name}-1234567", **inputs, **self._special(args, inputs)}
        return f"{kind or args.typ}-{args.name}", outputs

    def _special(self, args: MockResourceArgs, inputs: Mapping[str, Any]) -> dict[str, Any]:
        match args.typ.rpartition(":")[2]:
            case "Key":
                return {"keyId": f"key-{args.name}"}
            case "Secret":
                return {
                    "arn": f"arn:aws:secretsmanager:{self.region}:{ACCOUNT}:secret:{args.name}-1234567-AbCdEf"
                }
            case "LogGroup":
                return {"arn": f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{inputs['name']}"}
            case "Role":
                return {"arn": f"arn:aws:iam::{ACCOUNT}:role/{args.name}-1234567"}
            case "Bucket":
                return {"bucket": f"{args.name}-1234567", "arn": f"arn:aws:s3:::{args.name}-1234567"}
            case "Repository":
                host = f"{ACCOUNT}.dkr.ecr.{self.region}.amazonaws.com"
                return {"repositoryUrl": f"{host}/{args.name}-1234567", "registryId": ACCOUNT}
            case "Image":
                return {"digest": "sha256:" + "b" * 64, "ref": ""}
            case "LoadBalancer":
                dns = f"{args.name}-1234567.{self.region}.elb.amazonaws.com"
                return {
                    "dnsName": dns,
                    "zoneId": "ZBALANCER",
                    "arnSuffix": f"app/{args.name}/50dc6c495c0c9188",
                }
            case "TargetGroup":
                return {"arnSuffix": f"targetgroup/{args.name}/73e2d6bc24d8a067"}
            case "ReplicationGroup":
                host = f"master.{inputs['replicationGroupId']}.abc123.use1.cache.amazonaws.com"
                return {"primaryEndpointAddress": host}
            case "Certificate":
                proof = {"resourceRecordName": "_x.proof", "resourceRecordType": "CNAME"}
                return {"domainValidationOptions": [{**proof, "resourceRecordValue": "_y.acm"}]}
            case "Record":
                return {"fqdn": inputs["name"]}
        return {}

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        self.invokes.append((args.token, plain(args.args), args.provider))
        match args.token.rpartition(":")[2]:
            case "getAvailabilityZones":
                letters = "abcdef"[: ZONES.get(self.region, 6)]
                return {"names": [f"{self.region}{letter}" for letter in reversed(letters)]}
            case "getCallerIdentity":
                return {"accountId": ACCOUNT}
            case "getZone":
                return {"zoneId": "ZDOMAIN"}
            case "getAuthorizationToken":
                return {"userName": "AWS", "password": "a-registry-password"}
        raise NotImplementedError(args.token)


def plain(value: Any) -> Any:
    """A property without the wire's wrapping of secrets, and with whole numbers as integers."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


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
        assert isinstance(root, stack.Stack)
        for key, value in root.outputs.items():
            outputs[key] = await pulumi.Output.from_input(value).future()

    _sync_await(run())
    return StackGraph(recorder.registered, answers.invokes, outputs, warnings.texts)


if __name__ == "__main__":
    print(json.dumps(asdict(run_program(sys.argv[1], json.loads(sys.argv[2] if sys.argv[2:] else "{}")))))  # noqa: T201
