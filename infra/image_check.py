"""Stops an `up` whose image its registry does not hold, in the preview where that can be known.

ECS takes a task definition with whatever image it names; the tasks then fail to start for minutes, until the
circuit breaker ends the deployment. A hook of the task definition and no data source of the program:
production's registry is made before the rest, by `--target`, which must not fail for what comes afterwards.
"""

import boto3
import pulumi

from infra.own_thread import in_own_thread
from infra.registry_copy import has_image, registry_of


class ImageMissingError(Exception):
    """The registry lacks the image that should run: which, and the command that brings it there."""


def check_image(session: boto3.Session, uri: str, stack: str) -> None:
    """uri: repository@digest. Raises ImageMissingError, or botocore's ClientError when AWS refuses."""
    repository_url, _, digest = uri.partition("@")
    if not has_image(registry_of(session, repository_url), digest):
        raise ImageMissingError(
            f"image_digest = {digest}: {repository_url} does not hold that image, and no task could start. "
            "Bring what staging runs there, and set its digest, by this: "
            f".venv/bin/python -m infra.promote --to {stack}"
        )


def image_must_be_there(uri: pulumi.Output[str], region: str) -> pulumi.ResourceHookBinding:
    """Hooks for a task definition that runs `uri`. A preview cannot ask a registry that is not made yet."""

    async def ask(_: pulumi.ResourceHookArgs) -> None:
        known = await uri.future()
        if known is not None:
            session = boto3.Session(region_name=region)
            await in_own_thread(check_image, session, known, pulumi.get_stack())

    hook = pulumi.ResourceHook("image-is-there", ask, pulumi.ResourceHookOptions(on_dry_run=True))
    return pulumi.ResourceHookBinding(before_create=[hook], before_update=[hook])
