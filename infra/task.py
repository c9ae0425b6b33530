"""The task definition: one gateway container of a given size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.container import Container, container_definitions
from infra.execute_command import volumes


@dataclass(frozen=True)
class TaskArgs:
    """cpu: units, 1024 is one vCPU. memory_mib: a size that Fargate offers with cpu.
    execute_command: whether people may run commands inside. hooks: run around each revision's making."""

    family: str
    cpu: int
    memory_mib: int
    execution_role_arn: pulumi.Input[str]
    task_role_arn: pulumi.Input[str]
    image: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    region: str
    log_group: pulumi.Input[str]
    stop_timeout_s: int
    execute_command: bool
    hooks: pulumi.ResourceHookBinding | None


class Task(pulumi.ComponentResource):
    """A Fargate task definition; each change of it is a new revision that the service rolls out."""

    definition_arn: pulumi.Output[str]

    def __init__(self, name: str, args: TaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Task", name, None, opts)
        definition = aws.ecs.TaskDefinition(
            name,
            family=args.family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(args.cpu),
            memory=str(args.memory_mib),
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": "X86_64"},
            execution_role_arn=args.execution_role_arn,
            task_role_arn=args.task_role_arn,
            container_definitions=_rendered(args),
            volumes=volumes() if args.execute_command else None,
            # A deployment that rolls back needs the revision before this one, so that one is left in place.
            skip_destroy=True,
            opts=pulumi.ResourceOptions(parent=self, hooks=args.hooks),
        )
        self.definition_arn = definition.arn
        self.register_outputs({"definition_arn": self.definition_arn})


def _rendered(args: TaskArgs) -> pulumi.Output[str]:
    def render(known: Mapping[str, Any]) -> str:
        return container_definitions(
            Container(
                **known,
                region=args.region,
                stop_timeout_s=args.stop_timeout_s,
                execute_command=args.execute_command,
            )
        )

    return pulumi.Output.all(
        image=args.image, environment=args.environment, secrets=args.secrets, log_group=args.log_group
    ).apply(render)
