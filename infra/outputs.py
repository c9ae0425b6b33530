"""The stack's outputs: the service's address, and the names a person or a command needs next."""

import pulumi

from infra.access import Access
from infra.balancer import Balancer
from infra.config import StackConfig
from infra.dashboard import Dashboard
from infra.layers import Compute, Foundation, State


def export(
    config: StackConfig,
    base: Foundation,
    front: Balancer,
    kept: State,
    tasks: Compute,
    board: Dashboard,
    roles: Access,
) -> None:
    """The service's address, and the names a person or a command needs next."""
    outputs: dict[str, pulumi.Input[str]] = {
        "base_url": front.base_url,
        "dashboard_url": board.url,
        "region": config.region,
        "load_balancer_dns_name": front.dns_name,
        "cluster_name": tasks.cluster.cluster_name,
        "service_name": tasks.service.service_name,
        "task_definition_arn": tasks.service.task_definition_arn,
        "repository_url": tasks.registry.repository_url,
        "table_name": kept.storage.table_name,
        "bucket_name": kept.storage.bucket_name,
        "knowledge_queue_url": kept.knowledge.queue_url,
        "log_group_name": base.logs.gateway.name,
        "cache_endpoint": pulumi.Output.format("{0}:{1}", kept.cache.host, kept.cache.port),
        "cache_user_id": kept.cache.gateway_user_id,
        "openai_secret_arn": kept.vault.openai_arn,
        "pepper_secret_arn": kept.vault.pepper_arn,
        "owner_secret_arn": kept.vault.owner_arn,
        "cache_secret_arn": kept.vault.cache_arn,
        "alert_topic_arn": base.alerts.topic_arn,
        "reader_role_arn": roles.reader_role_arn,
        "deployer_role_arn": roles.deployer_role_arn,
    }
    for name, value in outputs.items():
        pulumi.export(name, value)
