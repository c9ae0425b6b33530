"""The service: keeps tasks running, replaces them without a gap, rolls back what does not start."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.container import CONTAINER_NAME, CONTAINER_PORT
from infra.verifying import running_task_definition

SERVICE_NAME = "gateway"
HEALTH_CHECK_GRACE_S = 60


@dataclass(frozen=True)
class ServiceArgs:
    """min_tasks: always on demand; what autoscaling adds above is shared with Spot.
    execute_command: whether people may run commands inside tasks.
    alarm_names: while a deployment goes on, any of them that goes off rolls it back.
    after: what must be there before the first task starts. hooks: run around the service's making."""

    cluster_arn: pulumi.Input[str]
    task_definition_arn: pulumi.Input[str]
    target_group_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    min_tasks: int
    execute_command: bool
    alarm_names: Sequence[pulumi.Input[str]]
    after: Sequence[pulumi.Resource]
    hooks: pulumi.ResourceHookBinding


class Service(pulumi.ComponentResource):
    """A Fargate service behind the load balancer, in private subnets."""

    service_name: pulumi.Output[str]
    task_definition_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Service", name, None, opts)
        service = aws.ecs.Service(
            name,
            name=SERVICE_NAME,
            cluster=args.cluster_arn,
            task_definition=args.task_definition_arn,
            desired_count=args.min_tasks,
            capacity_provider_strategies=[
                {"capacity_provider": "FARGATE", "base": args.min_tasks, "weight": 1},
                {"capacity_provider": "FARGATE_SPOT", "base": 0, "weight": 1},
            ],
            # The breaker sees tasks that do not start, the alarms what clients see. An alarm that is already
            # off when a deployment starts is left out of it, so an outage of OpenAI's blocks no mend.
            deployment_circuit_breaker={"enable": True, "rollback": True},
            alarms={"enable": True, "rollback": True, "alarm_names": list(args.alarm_names)},
            # Never fewer tasks than are wanted: new ones serve before old ones leave.
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            availability_zone_rebalancing="ENABLED",
            health_check_grace_period_seconds=HEALTH_CHECK_GRACE_S,
            enable_execute_command=args.execute_command,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            load_balancers=[
                {
                    "target_group_arn": args.target_group_arn,
                    "container_name": CONTAINER_NAME,
                    "container_port": CONTAINER_PORT,
                }
            ],
            network_configuration={
                "subnets": list(args.subnet_ids),
                "security_groups": [args.security_group_id],
                "assign_public_ip": False,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=args.after,
                hooks=args.hooks,
                # Autoscaling decides it from the first minute on; an `up` must not set it back.
                ignore_changes=["desiredCount"],
            ),
        )
        self.service_name = service.name
        self.task_definition_arn = running_task_definition(service, pulumi.InvokeOptions(parent=self))
        self.register_outputs({"service_name": self.service_name})
