"""Where the stack stands: a network of its own or one that is there, and how AWS is reached from it."""

from collections.abc import Sequence

import pulumi

from infra.config import StackConfig
from infra.endpoints import Endpoints, EndpointsArgs
from infra.existing_network import ExistingNetwork, ExistingNetworkArgs
from infra.flow_logs import FlowLogs, FlowLogsArgs
from infra.network import Network, NetworkArgs
from infra.security_groups import SecurityGroups


def place(
    config: StackConfig,
    on_aws: pulumi.ResourceOptions,
    flow_log_group_arn: pulumi.Input[str],
    account_id: pulumi.Input[str],
) -> Network | ExistingNetwork:
    """The network. What flows in one of somebody else's is not ours to record."""
    if config.vpc_id is not None:
        given = ExistingNetworkArgs(
            region=config.region,
            vpc_id=config.vpc_id,
            public_subnet_ids=config.public_subnet_ids,
            private_subnet_ids=config.private_subnet_ids,
            isolated_subnet_ids=config.isolated_subnet_ids,
        )
        return ExistingNetwork("network", given, on_aws)
    network = Network(
        "network",
        NetworkArgs(
            region=config.region,
            cidr=config.vpc_cidr,
            zones=config.availability_zones,
            nat_gateways=config.nat_gateways,
        ),
        on_aws,
    )
    FlowLogs(
        "flow-logs",
        FlowLogsArgs(vpc_id=network.vpc_id, log_group_arn=flow_log_group_arn, account_id=account_id),
        on_aws,
    )
    return network


def interface_endpoints(
    config: StackConfig,
    on_aws: pulumi.ResourceOptions,
    network: Network | ExistingNetwork,
    security_groups: SecurityGroups,
) -> Sequence[pulumi.Resource]:
    """The interface endpoints that the config asks for."""
    if security_groups.endpoints_id is None:
        return []
    made = Endpoints(
        "endpoints",
        EndpointsArgs(
            region=config.region,
            vpc_id=network.vpc_id,
            subnet_ids=network.private_subnet_ids,
            security_group_id=security_groups.endpoints_id,
            execute_command=config.enable_execute_command,
        ),
        on_aws,
    )
    return made.all
