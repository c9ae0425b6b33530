"""Brings the image that staging runs to production, byte for byte.

`python -m infra.promote` asks staging's ECS which digest runs and has proven itself, copies that image from
staging's registry to production's, and sets production's `image_digest`; `pulumi up -s prod` then runs it. It
may be run again at any time: what is there is not copied twice. The two accounts may be different ones: name
their AWS profiles with --from-profile and --to-profile.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.registry_copy import ImageCopyError, copy_image, registry_of
from infra.seed import SeedError, stack_outputs


class PromoteError(Exception):
    """An image that cannot be promoted: what is wrong and what to do."""


@dataclass(frozen=True)
class Running:
    """What a service's tasks run. image: by digest."""

    image: str
    tasks: int

    @property
    def digest(self) -> str:
        return self.image.partition("@")[2]


def running_image(ecs: Any, cluster: str, service: str) -> Running:
    """The image of a service whose last deployment is complete and whose tasks all run.

    Raises PromoteError while a deployment is under way, after one that failed, or when nothing runs.
    """
    services = ecs.describe_services(cluster=cluster, services=[service])["services"]
    if not services:
        raise PromoteError(
            f"cluster {cluster} has no service {service}; deploy staging: pulumi up -s staging"
        )
    deployments = services[0]["deployments"]
    primary = next(d for d in deployments if d["status"] == "PRIMARY")
    state = primary.get("rolloutState", "COMPLETED")
    if state != "COMPLETED" or len(deployments) > 1:
        reason = primary.get("rolloutStateReason", "")
        raise PromoteError(
            f"staging's deployment is {state}: {reason} Wait for it, or repair it, and try again"
        )
    if primary["runningCount"] < max(1, primary["desiredCount"]):
        raise PromoteError(
            f"staging runs {primary['runningCount']} of {primary['desiredCount']} tasks; an image is "
            "promoted after it has run"
        )
    definition = ecs.describe_task_definition(taskDefinition=primary["taskDefinition"])["taskDefinition"]
    image: str = definition["containerDefinitions"][0]["image"]
    if "@sha256:" not in image:
        raise PromoteError(f"staging runs {image}, which is no digest")
    return Running(image, primary["runningCount"])


def promote(
    source: boto3.Session, target: boto3.Session, staging: dict[str, str], prod: dict[str, str]
) -> str:
    """Copy what staging runs to production's registry and return its digest. staging, prod: stack outputs.

    Raises PromoteError, ImageCopyError, or botocore's errors.
    """
    ecs = source.client("ecs", region_name=staging["region"])
    running = running_image(ecs, staging["cluster_name"], staging["service_name"])
    _say(f"staging runs {running.digest} in {running.tasks} tasks")
    copied = copy_image(
        registry_of(source, staging["repository_url"]),
        registry_of(target, prod["repository_url"]),
        running.digest,
    )
    _say("production's registry has it already" if copied == 0 else f"copied {copied:,} bytes")
    return running.digest


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.promote", description=__doc__)
    parser.add_argument("--from", dest="source", default="staging", help="stack to take the image from")
    parser.add_argument("--to", dest="target", default="prod", help="stack to bring it to")
    parser.add_argument("--from-profile", help="AWS profile of the first, default the environment's")
    parser.add_argument("--to-profile", help="AWS profile of the second, default the environment's")
    given = parser.parse_args(arguments)
    try:
        staging, prod = stack_outputs(given.source), _registry_outputs(given.target)
        digest = promote(
            boto3.Session(profile_name=given.from_profile),
            boto3.Session(profile_name=given.to_profile),
            staging,
            prod,
        )
        _set_digest(given.target, digest)
    except (PromoteError, ImageCopyError, SeedError, BotoCoreError, ClientError) as error:
        print(f"promote: {error}", file=sys.stderr)  # noqa: T201
        return 1
    _say(f"image_digest is set; run it: pulumi up -s {given.target}")
    return 0


def _registry_outputs(stack: str) -> dict[str, str]:
    """A stack's outputs, of which the repository is enough: production's first image comes before the rest.

    What such a stack has not made yet, the engine exports as a placeholder.
    """
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    outputs: dict[str, str] = json.loads(run.stdout) if run.returncode == 0 else {}
    if ".dkr.ecr." not in outputs.get("repository_url", ""):
        targets = " ".join(f"--target '{urn}'" for urn in REGISTRY_FIRST)
        raise PromoteError(
            f"stack {stack} has no registry yet; make it before the rest: pulumi up -s {stack} {targets}"
        )
    return outputs


REGISTRY_FIRST = ("**providers:aws::aws", "**gateway:infra:Encryption**", "**gateway:infra:Registry**")
"""What an image registry is made of, as patterns of URNs."""


def _set_digest(stack: str, digest: str) -> None:
    command = ["pulumi", "config", "set", "image_digest", digest, "--stack", stack]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise PromoteError(f"the image is there, but its digest was not set: {run.stderr.strip()}")


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
