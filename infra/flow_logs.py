"""Records of every connection in the network, accepted or not."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import allow, document, trust


@dataclass(frozen=True)
class FlowLogsArgs:
    vpc_id: pulumi.Input[str]
    log_group_arn: pulumi.Input[str]
    account_id: pulumi.Input[str]


class FlowLogs(pulumi.ComponentResource):
    """The VPC's flow log and the role that writes it."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            description="Writes the network's flow logs",
            assume_role_policy=trust("vpc-flow-logs.amazonaws.com", args.account_id),
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            name,
            role=role.id,
            policy=document(
                allow(
                    "WriteFlowLogs",
                    ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    # The suffix stands for the group's streams, which have names of their own.
                    [pulumi.Output.concat(args.log_group_arn, ":*")],
                )
            ),
            opts=child,
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=args.log_group_arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.register_outputs({})
