"""Verifies each deployment during `pulumi up`: the update fails when ECS does not keep what was deployed.

Two ways, because a hook runs only when the service changes: an `up` after one that was rolled back has
nothing to change in Pulumi's eyes, so every `up` also compares what runs with what was deployed.
"""

from collections.abc import Mapping
from typing import Any

import boto3
import pulumi
import pulumi_aws as aws

from infra.own_thread import in_own_thread
from infra.verify import Expected, short, verify


def verify_deployments(region: str, log_group: str, longest_s: int) -> pulumi.ResourceHookBinding:
    """Hooks for the service, after it was made and after each change of it. A preview runs none."""

    async def ask(args: pulumi.ResourceHookArgs) -> None:
        made: Mapping[str, Any] = args.new_outputs or {}
        expected = Expected(
            cluster=str(made["cluster"]),
            service=str(made["name"]),
            task_definition_arn=str(made["taskDefinition"]),
            log_group=log_group,
        )
        ecs = boto3.Session(region_name=region).client("ecs")
        told = await in_own_thread(verify, ecs, expected, longest_s, pulumi.log.info)
        pulumi.log.info(told)

    hook = pulumi.ResourceHook("verify-deployment", ask)
    return pulumi.ResourceHookBinding(after_create=[hook], after_update=[hook])


def running_task_definition(service: aws.ecs.Service, opts: pulumi.InvokeOptions) -> pulumi.Output[str]:
    """ARN of the task definition that ECS runs; fails the update when it is not the one Pulumi deployed."""
    found = aws.ecs.get_service_output(cluster_arn=service.cluster, service_name=service.name, opts=opts)
    return pulumi.Output.all(found.task_definition, service.task_definition).apply(
        lambda pair: as_deployed(runs=pair[0], deployed=pair[1])
    )


def as_deployed(runs: str, deployed: str) -> str:
    """`runs` when it is `deployed`. A preview only warns; an update fails with RunError."""
    if short(runs) == short(deployed):
        return runs
    message = (
        f"the service runs {short(runs)}, but {short(deployed)} was deployed: ECS rolled it back, or "
        "somebody changed the service. To deploy it again: pulumi up --refresh"
    )
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(message)
    pulumi.log.warn(message)
    return runs
