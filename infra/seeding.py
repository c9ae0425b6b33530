"""Seeds the secrets during the first `pulumi up`, so that the tasks it starts find their values."""

import asyncio
import os

import boto3
import pulumi

from infra.seed import SecretArns, has_value, seed_generated, seed_openai


def seed_after_create(arns: pulumi.Output[SecretArns], region: str) -> pulumi.ResourceHookBinding:
    """Hooks for the cache's user: once it exists, it and the secrets get their values.

    Whatever carries the hooks must depend on the secrets. A preview runs no hook, and neither does a later
    `up`, which creates no user. An OPENAI_API_KEY in the environment becomes the first OpenAI key.
    """

    async def seed(args: pulumi.ResourceHookArgs) -> None:
        known = await arns.future()
        if known is None:
            raise RuntimeError("the user was made before the secrets; it must depend on them")
        await asyncio.to_thread(_seed, known, region, args.id)

    return pulumi.ResourceHookBinding(after_create=[pulumi.ResourceHook("seed-secrets", seed)])


def _seed(arns: SecretArns, region: str, cache_user_id: str) -> None:
    session = boto3.Session(region_name=region)
    seed_generated(session, arns, cache_user_id)
    key = os.environ.get("OPENAI_API_KEY")
    if key and not has_value(session, arns.openai):
        seed_openai(session, arns.openai, key)
