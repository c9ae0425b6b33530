"""Deploys a stack onto local AWS, as a program: `python -m local.deploy STACK FOLDER READY_FILE`.

A process of its own, so that the supervisor stays small and a failing program cannot take it down. It reads
the overrides from the stack's state, waits for local AWS while Pulumi's SDK loads, and writes the outputs to
`outputs.json` in the folder. OPENAI_API_KEY in its environment becomes the OpenAI secret's value.
"""

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3

from infra.config import ConfigError, StackConfig, load_file
from infra.seed import SecretArns, admit_owner, seed_generated, seed_openai
from local.aws.client import LocalAws
from local.engine.deploy import run_engine
from local.existing_network import make_existing_network
from local.files import read_json, write_json
from local.processes import wait_until
from local.program import ProgramError, run_program
from local.progress import Progress
from local.provider.mocks import CreatedResource
from local.state import PULUMI, StackFolder, UpRequest

AWS_START_TIMEOUT_S = 30
OUTPUTS = "outputs.json"
REQUEST = "deployment.json"


def write_request(folder: StackFolder, request: UpRequest, started_at: float) -> None:
    """What this program is to deploy."""
    write_json(folder.path / REQUEST, {"request": asdict(request), "started_at": started_at})


def read_outputs(folder: StackFolder) -> dict[str, Any]:
    """The stack's outputs, after this program succeeded."""
    outputs: dict[str, Any] = read_json(folder.path / OUTPUTS, {})
    return outputs


def main(folder: StackFolder, ready_file: Path) -> int:
    given = read_json(folder.path / REQUEST, {})
    progress = Progress(folder.progress, given["started_at"])
    overrides: dict[str, str] = given["request"]["config"]
    try:
        config = load_file(folder.stack, overrides)
        if not wait_until(ready_file.exists, AWS_START_TIMEOUT_S):
            progress.tell("failed", "local AWS did not start")
            return 1
        aws = LocalAws(f"http://127.0.0.1:{ready_file.read_text()}", config.region)
        # For the code that makes sessions of its own, as under the engine.
        os.environ.update(aws.environment())
        made = make_prerequisites(aws, config, progress)
        request = UpRequest(**{**given["request"], "config": {**overrides, **made}})
        outputs = deploy(folder, aws, request, progress)
        seed(aws, outputs, progress)
    except (ConfigError, ProgramError) as error:
        progress.tell("failed", str(error))
        return 1
    write_json(folder.path / OUTPUTS, outputs)
    return 0


def make_prerequisites(aws: LocalAws, config: StackConfig, progress: Progress) -> dict[str, str]:
    """Makes what a real account must have before the stack: its domain's hosted zone, an existing network.

    Returns the config that names what got its ids here.
    """
    if zone := config.hosted_zone_name:
        aws.call("route53", "create_hosted_zone", Name=zone, CallerReference=zone)
        progress.tell("note", f"hosted zone {zone}: a real account must have it already; made here")
    if config.network == "own":
        return {}
    made = make_existing_network(aws, config)
    progress.tell(
        "note", f"network {config.vpc_id}: a real account must have it already; made here as {made['vpc_id']}"
    )
    return made


def deploy(folder: StackFolder, aws: LocalAws, request: UpRequest, progress: Progress) -> dict[str, Any]:
    """Runs the program, by the engine that was asked for, and tells of each resource. Raises ProgramError."""

    def report(created: CreatedResource) -> None:
        progress.tell("resource", f"{created.type}  {created.name}", created.seconds)

    started = time.monotonic()
    if request.engine == PULUMI:
        deployment = run_engine(folder.stack, aws, request.config, report, folder.engine)
    else:
        deployment = run_program(folder.stack, aws, request.config, report)
    count = len(deployment.resources)
    progress.tell("step", f"{count} resources on local AWS", time.monotonic() - started)
    return deployment.outputs


def seed(aws: LocalAws, outputs: dict[str, Any], progress: Progress) -> None:
    """What resource hooks do under the engine, and the person who asks for the first owner's key."""
    started = time.monotonic()
    arns = SecretArns(
        **{name: outputs[f"{name}_secret_arn"] for name in ("openai", "pepper", "owner", "cache")}
    )
    session = boto3.Session(region_name=aws.region)
    seeded = seed_generated(session, arns, outputs["cache_user_id"])
    seed_openai(session, arns.openai, os.environ["OPENAI_API_KEY"])
    admit_owner(session, pepper_arn=arns.pepper, owner_arn=arns.owner, table_name=outputs["table_name"])
    progress.tell(
        "step", f"secrets have values: {', '.join([*seeded, 'openai'])}", time.monotonic() - started
    )


if __name__ == "__main__":
    stack_name, base, ready = sys.argv[1:4]
    code = main(StackFolder(Path(base), stack_name), Path(ready))
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking the AWS SDK's modules apart would hold the stack up for more than a second.
    os._exit(code)
