"""The ECS cluster: no machines of its own, Fargate and Fargate Spot to draw on."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.execute_command import cluster_configuration


@dataclass(frozen=True)
class ClusterArgs:
    """insights_log_group: where Container Insights reports to; None turns them off.
    session_log_group: keeps what people do inside tasks; None where nobody may enter them."""

    cluster_name: str
    key_arn: pulumi.Input[str]
    insights_log_group: aws.cloudwatch.LogGroup | None
    session_log_group: aws.cloudwatch.LogGroup | None


class Cluster(pulumi.ComponentResource):
    """A cluster with both Fargate capacity providers.

    capacity_providers: a service names them, so it is made after and removed before them.
    """

    arn: pulumi.Output[str]
    cluster_name: pulumi.Output[str]
    capacity_providers: Sequence[pulumi.Resource]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Cluster", name, None, opts)
        insights, sessions = args.insights_log_group, args.session_log_group
        cluster = aws.ecs.Cluster(
            name,
            name=args.cluster_name,
            settings=[{"name": "containerInsights", "value": "disabled" if insights is None else "enhanced"}],
            configuration=None if sessions is None else cluster_configuration(args.key_arn, sessions),
            # ECS makes a missing log group itself, without key and retention.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[] if insights is None else [insights]),
        )
        providers = aws.ecs.ClusterCapacityProviders(
            name,
            cluster_name=cluster.name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = cluster.arn
        self.cluster_name = cluster.name
        self.capacity_providers = [providers]
        self.register_outputs({"arn": self.arn})
