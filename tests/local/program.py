"""Runs a Pulumi program on local AWS in a process of its own, as tests need it.

`python -m tests.local.program FOLDER STACK ENDPOINT REGION CONFIG_JSON` prints the outputs as JSON, or fails
with what the program said; FOLDER holds `__main__.py` and the `Pulumi*.yaml`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.config import ROOT
from local.aws.client import LocalAws
from local.components import inherited_environment
from local.program import ProgramError, run_program


def run(aws: LocalAws, stack: str, config: Mapping[str, str], folder: Path = ROOT) -> dict[str, Any]:
    """The outputs. AssertionError with what the program said when it fails."""
    given = [str(folder), stack, aws.endpoint_url, aws.region, json.dumps(dict(config))]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.local.program", *given],
        cwd=ROOT,
        env={**inherited_environment(), **aws.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    outputs: dict[str, Any] = json.loads(ran.stdout)
    return outputs


if __name__ == "__main__":
    root, name, endpoint_url, region, overrides = sys.argv[1:]
    try:
        deployment = run_program(
            name, LocalAws(endpoint_url, region), json.loads(overrides), lambda _: None, Path(root)
        )
    except ProgramError as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.write(json.dumps(deployment.outputs))
    sys.stdout.flush()
    os._exit(0)
