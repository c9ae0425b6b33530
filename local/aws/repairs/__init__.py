"""Repairs of moto 5.2.5, one file per service. Each file's first lines say what moto lacks."""

from local.aws.repairs import (
    application_autoscaling,
    budgets,
    dynamodb,
    ecs,
    elastic_load_balancing,
    elasticache_groups,
    elasticache_replication_groups,
    elasticache_users,
    logs,
    permissions,
    s3,
)


def repair_all() -> None:
    """Applies every repair to the moto of this process."""
    application_autoscaling.repair()
    budgets.repair()
    dynamodb.repair()
    ecs.repair()
    elastic_load_balancing.repair()
    elasticache_groups.repair()
    elasticache_replication_groups.repair()
    elasticache_users.repair()
    logs.repair()
    permissions.repair()
    s3.repair()
