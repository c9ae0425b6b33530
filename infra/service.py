"""The service: keeps tasks running, replaces them without a gap, rolls back what does not start."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.container import CONTAINER_NAME, CONTAINER_PORT

SERVICE_NAME = "gateway"
HEALTH_CHECK_GRACE_S = 60


@dataclass(frozen=True)
class ServiceArgs:
    """min_tasks: always on demand; what autoscaling adds above is shared with Spot.
    after: what must be there before the first task starts. hooks: run around the service's making."""

    cluster_arn: pulumi.Input[str]
    task_definition_arn: pulumi.Input[str]
    target_group_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    min_tasks: int
    after: Sequence[pulumi.Resource]
    hooks: pulumi.ResourceHookBinding


class Service(pulumi.ComponentResource):
    """A Fargate service behind the load balancer, in private subnets."""

    service_name: pulumi.Output[str]

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
            deployment_circuit_breaker={"enable": True, "rollback": True},
            # Never fewer tasks than are wanted: new ones serve before old ones leave.
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            availability_zone_rebalancing="ENABLED",
            health_check_grace_period_seconds=HEALTH_CHECK_GRACE_S,
            enable_execute_command=False,
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
        self.register_outputs({"service_name": self.service_name})
