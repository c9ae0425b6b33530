"""How people see and hear the stack: alarms, the reasons of stopped tasks, saved queries, one dashboard."""

from infra.alarms import Alarms, AlarmsArgs, Watched, deployment_alarms, service_alarms
from infra.balancer import Balancer
from infra.config import StackConfig
from infra.dashboard import Dashboard, DashboardArgs
from infra.layers import Compute, Foundation, State
from infra.queries import Queries, QueriesArgs
from infra.stopped_tasks import StoppedTasks, StoppedTasksArgs
from infra.upstream_throttles import UpstreamThrottles, UpstreamThrottlesArgs


def guard(config: StackConfig, base: Foundation, front: Balancer) -> Alarms:
    """The alarms that roll a deployment back; the service names them, so they come before it."""
    return Alarms(
        "deployment-alarms",
        AlarmsArgs(
            name_prefix=config.name_prefix,
            topic_arn=base.alerts.topic_arn,
            after=base.alerts.policies,
            alarms=deployment_alarms(front.arn_suffix, config.slow_answer_s),
        ),
        base.on_aws,
    )


def watch(config: StackConfig, base: Foundation, front: Balancer, kept: State, tasks: Compute) -> Dashboard:
    """All layers on one page, and an alarm for what should wake somebody."""
    stopped = StoppedTasks(
        "stopped-tasks",
        StoppedTasksArgs(
            cluster_arn=tasks.cluster.arn,
            log_group_name=base.logs.stopped_tasks.name,
            log_group_arn=base.logs.stopped_tasks.arn,
            metric_name=config.name_prefix,
        ),
        base.on_aws,
    )
    throttles = UpstreamThrottles(
        "upstream-throttles",
        UpstreamThrottlesArgs(log_group_name=base.logs.gateway.name, metric_name=config.name_prefix),
        base.on_aws,
    )
    cache_nodes = 1 + config.cache_replicas
    watched = Watched(
        balancer_arn_suffix=front.arn_suffix,
        target_group_arn_suffix=front.target_group_arn_suffix,
        cluster_name=tasks.cluster.cluster_name,
        service_name=tasks.service.service_name,
        replication_group_id=kept.cache.replication_group_id,
        cache_nodes=cache_nodes,
        table_name=kept.storage.table_name,
        dead_letters_name=kept.knowledge.dead_letters_name,
        nat_gateway_ids=base.network.nat_gateway_ids,
        certificate_arn=front.certificate_arn,
        stopped_tasks=stopped.metric,
        upstream_throttles=throttles.metric,
    )
    Alarms(
        "alarms",
        AlarmsArgs(
            name_prefix=config.name_prefix,
            topic_arn=base.alerts.topic_arn,
            # Before the first deployment is done no task is healthy, which is no news.
            after=[*base.alerts.policies, tasks.service],
            alarms=service_alarms(watched),
        ),
        base.on_aws,
    )
    Queries(
        "queries",
        QueriesArgs(
            folder=config.name_prefix,
            gateway_log_group=base.logs.gateway.name,
            stopped_tasks_log_group=base.logs.stopped_tasks.name,
        ),
        base.on_aws,
    )
    return Dashboard(
        "dashboard",
        DashboardArgs(
            dashboard_name=config.name_prefix,
            region=config.region,
            balancer_arn_suffix=front.arn_suffix,
            target_group_arn_suffix=front.target_group_arn_suffix,
            cluster_name=tasks.cluster.cluster_name,
            service_name=tasks.service.service_name,
            replication_group_id=kept.cache.replication_group_id,
            cache_nodes=cache_nodes,
            table_name=kept.storage.table_name,
            log_group=base.logs.gateway.name,
        ),
        base.on_aws,
    )
