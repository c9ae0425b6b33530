"""What one layer of the stack hands down to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.alerts import Alerts
from infra.cache import Cache
from infra.cluster import Cluster
from infra.encryption import Encryption
from infra.existing_network import ExistingNetwork
from infra.knowledge import Knowledge
from infra.logs import Logs
from infra.network import Network
from infra.registry import Registry
from infra.security_groups import SecurityGroups
from infra.service import Service
from infra.storage import Storage
from infra.vault import Vault


@dataclass(frozen=True)
class Foundation:
    """What everything stands on. on_aws: the provider that tags every resource, and every role's boundary.
    unbounded: the provider alone, for the roles of people and workflows. boundary_arn: of the boundary."""

    unbounded: pulumi.ResourceOptions
    boundary_arn: pulumi.Output[str]
    on_aws: pulumi.ResourceOptions
    account_id: pulumi.Output[str]
    encryption: Encryption
    logs: Logs
    alerts: Alerts
    network: Network | ExistingNetwork
    security_groups: SecurityGroups
    endpoints: Sequence[pulumi.Resource]


@dataclass(frozen=True)
class State:
    """What outlives a task."""

    vault: Vault
    storage: Storage
    knowledge: Knowledge
    cache: Cache


@dataclass(frozen=True)
class Compute:
    """The gateway at work."""

    registry: Registry
    cluster: Cluster
    service: Service
