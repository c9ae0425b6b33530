"""Seeds the secrets during `pulumi up`, so that the tasks it starts find their values.

Twice, because seeding changes nothing that is there: when the cache's user has been made, which then has a
password that nobody knows, and before the service is made, which mends an `up` that was cut in between.
A preview runs neither. An OPENAI_API_KEY in the environment becomes the first OpenAI key; without one a stack
comes up all the same, and says that it answers no model request yet.

A workflow may do all of it: a service that is made anew has no former one to fall back on. So the first
owner's key, which no workflow reads, is let in when a person asks for it (`infra/owner_key.py`).
"""

import os

import boto3
import pulumi

from infra.own_thread import in_own_thread
from infra.seed import SecretArns, has_value, seed_generated, seed_openai


def seed_new_user(arns: pulumi.Output[SecretArns], region: str) -> pulumi.ResourceHookBinding:
    """Hooks for the cache's user, which must depend on the secrets."""

    async def seed(args: pulumi.ResourceHookArgs) -> None:
        await _seed(arns, region, args.id)

    return pulumi.ResourceHookBinding(after_create=[pulumi.ResourceHook("seed-new-user", seed)])


def seed_before_tasks(
    arns: pulumi.Output[SecretArns], region: str, cache_user_id: pulumi.Output[str]
) -> pulumi.ResourceHookBinding:
    """Hooks for the service, which must depend on the secrets and on the cache."""

    async def seed(_: pulumi.ResourceHookArgs) -> None:
        await _seed(arns, region, await cache_user_id.future())

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook("seed-before-tasks", seed)])


async def _seed(arns: pulumi.Output[SecretArns], region: str, cache_user_id: str | None) -> None:
    known = await arns.future()
    if known is None or cache_user_id is None:
        raise RuntimeError("what is seeded must be made first: the hook's resource lacks a dependency")
    if not await in_own_thread(_seed_now, known, region, cache_user_id):
        pulumi.warn(
            "the stack has no OpenAI key yet, so the gateway answers no model request; set one: "
            f"python -m infra.seed --stack {pulumi.get_stack()}"
        )


def _seed_now(arns: SecretArns, region: str, cache_user_id: str) -> bool:
    """Whether there is an OpenAI key now."""
    session = boto3.Session(region_name=region)
    seed_generated(session, arns, cache_user_id)
    if has_value(session, arns.openai):
        return True
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if key:
        seed_openai(session, arns.openai, key)
    return bool(key)
