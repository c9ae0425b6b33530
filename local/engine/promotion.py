"""What a team does before production's first `up`: its registry is made, and the image is brought there."""

import json

from infra.promote import REGISTRY_FIRST
from infra.registry_copy import IMAGE_TYPES
from local.aws.client import LocalAws

TARGETS = tuple(argument for urn in REGISTRY_FIRST for argument in ("--target", urn))
"""Arguments of the `pulumi up` that makes the registry and nothing else."""


def put_promoted(aws: LocalAws, repository_url: str, digest: str) -> None:
    """Makes the registry hold `digest`, as `infra.promote` leaves it; the manifest is empty."""
    manifest = {"schemaVersion": 2, "mediaType": IMAGE_TYPES[0], "layers": []}
    aws.call(
        "ecr", "put_image",
        repositoryName=repository_url.partition("/")[2],
        imageManifest=json.dumps(manifest), imageDigest=digest,
    )  # fmt: skip
