"""Interface endpoints: addresses within the network at which tasks reach AWS without leaving it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

SERVICES = ("ecr.api", "ecr.dkr", "logs", "secretsmanager", "sns", "sqs")
"""What ECS calls to start a task, and what the gateway calls; S3 and DynamoDB have gateway endpoints."""


@dataclass(frozen=True)
class EndpointsArgs:
    """subnet_ids: one a zone, where tasks run. security_group_id: admits tasks on 443."""

    region: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]


class Endpoints(pulumi.ComponentResource):
    """One interface endpoint a service, under the service's own name: the SDKs find it by themselves.

    all: a task that starts before them finds no image, so the service waits for these.
    """

    all: list[pulumi.Resource]

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Endpoints", name, None, opts)
        self.all = [
            aws.ec2.VpcEndpoint(
                f"{name}-{service.replace('.', '-')}",
                vpc_id=args.vpc_id,
                service_name=f"com.amazonaws.{args.region}.{service}",
                vpc_endpoint_type="Interface",
                subnet_ids=list(args.subnet_ids),
                security_group_ids=[args.security_group_id],
                private_dns_enabled=True,
                tags={"Name": f"{name}-{service}"},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in SERVICES
        ]
        self.register_outputs({})
