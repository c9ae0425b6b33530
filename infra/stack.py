"""The stack: clients → front → tasks → state, all of it on one foundation.

`deploy` is the drawing; each function below it makes one layer out of components and hands down what the
next layers stand on. Nothing is passed back up.
"""

import pulumi
import pulumi_aws as aws

from infra.access import Access, AccessArgs
from infra.access_logs import PREFIX, AccessLogs, AccessLogsArgs
from infra.access_policies import Reach
from infra.alerts import Alerts, AlertsArgs
from infra.balancer import HTTP_PORT, HTTPS_PORT, Balancer, BalancerArgs
from infra.boundary import Boundary, BoundaryArgs, bounding, role_path
from infra.cache import CACHE_PORT, Cache, CacheArgs
from infra.cluster import Cluster, ClusterArgs
from infra.config import StackConfig
from infra.container import CONTAINER_PORT
from infra.domain import https
from infra.encryption import Encryption, EncryptionArgs
from infra.environment import plain_environment, secret_environment
from infra.execute_command import warn_in_production
from infra.firewall import Firewall, FirewallArgs
from infra.image import Image, ImageArgs
from infra.image_check import image_must_be_there
from infra.knowledge import Knowledge, KnowledgeArgs
from infra.layers import Compute, Foundation, State
from infra.logs import LogNames, Logs, LogsArgs
from infra.networking import interface_endpoints, place
from infra.outputs import export
from infra.registry import Registry, RegistryArgs
from infra.roles import Roles, RolesArgs
from infra.scaling import Scaling, ScalingArgs
from infra.secret_access import SecretAccess, SecretAccessArgs, SecretReaders
from infra.security_groups import SecurityGroups, SecurityGroupsArgs, upstream_ports
from infra.seeding import seed_before_tasks, seed_new_user
from infra.service import Service, ServiceArgs
from infra.spend import Spend, SpendArgs
from infra.storage import Storage, StorageArgs
from infra.task import Task, TaskArgs
from infra.vault import Vault, VaultArgs
from infra.verify import patience_s
from infra.verifying import verify_deployments
from infra.watch import guard, watch


def deploy(config: StackConfig) -> None:
    """Declare every resource of the stack, and export its outputs."""
    base = foundation(config)
    front = balancer(config, base)
    kept = state(config, base)
    tasks = compute(config, base, front, kept)
    board = watch(config, base, front, kept, tasks)
    roles = access(config, base, front, kept, tasks)
    export(config, base, front, kept, tasks, board, roles)


def foundation(config: StackConfig) -> Foundation:
    """Provider, key, log groups, alert topic, network, and who may talk to whom in it."""
    provider = aws.Provider("aws", region=config.region, default_tags={"tags": config.tags})
    unbounded = pulumi.ResourceOptions(providers=[provider])
    boundary = Boundary("boundary", BoundaryArgs(config.region), unbounded)
    on_aws = pulumi.ResourceOptions(
        providers=[provider], transformations=[bounding(boundary.arn, role_path(config.name_prefix))]
    )
    lasting = pulumi.ResourceOptions.merge(on_aws, pulumi.ResourceOptions(protect=config.deletion_protection))
    account_id = aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider)).account_id
    log_names = LogNames.of(config.name_prefix, config.enable_execute_command)
    encryption = Encryption(
        "encryption",
        EncryptionArgs(
            alias=config.name_prefix,
            region=config.region,
            account_id=account_id,
            log_group_names=log_names.all(),
            deletion_protection=config.deletion_protection,
        ),
        on_aws,
    )
    logs = Logs(
        "logs",
        LogsArgs(
            names=log_names,
            key_arn=encryption.key_arn,
            retention_days=config.log_retention_days,
            container_insights=config.is_production,
        ),
        on_aws,
    )
    alerts = Alerts(
        "alerts",
        AlertsArgs(account_id=account_id, key_arn=encryption.key_arn, emails=[config.owner]),
        on_aws,
    )
    Spend(
        "spend",
        SpendArgs(
            project=config.project,
            stack=config.stack,
            monthly_budget_usd=config.monthly_budget_usd,
            owner=config.owner,
            alert_topic_arn=alerts.topic_arn,
            after=alerts.policies,
        ),
        on_aws,
    )
    network = place(config, lasting, logs.flow_logs.arn, account_id)
    security_groups = SecurityGroups(
        "security-groups",
        SecurityGroupsArgs(
            vpc_id=network.vpc_id,
            public_ports=[HTTP_PORT, HTTPS_PORT] if config.serves_https else [HTTP_PORT],
            task_port=CONTAINER_PORT,
            cache_port=CACHE_PORT,
            upstream_ports=upstream_ports(config.openai_base_url),
            interface_endpoints=config.interface_endpoints,
        ),
        lasting,
    )
    endpoints = interface_endpoints(config, on_aws, network, security_groups)
    return Foundation(
        unbounded,
        boundary.arn,
        on_aws,
        lasting,
        account_id,
        encryption,
        logs,
        alerts,
        network,
        security_groups,
        endpoints,
    )


def balancer(config: StackConfig, base: Foundation) -> Balancer:
    """What clients reach: the load balancer behind its firewall, with a name and a certificate of its own."""
    logs = AccessLogs(
        "access-logs",
        AccessLogsArgs(
            account_id=base.account_id,
            kept_days=config.log_retention_days,
            deletion_protection=config.deletion_protection,
        ),
        base.lasting,
    )
    front = Balancer(
        "balancer",
        BalancerArgs(
            vpc_id=base.network.vpc_id,
            subnet_ids=base.network.public_subnet_ids,
            security_group_id=base.security_groups.balancer_id,
            https=https(config, base.on_aws),
            target_port=CONTAINER_PORT,
            idle_timeout_s=config.streaming.idle_timeout_s,
            deregistration_delay_s=config.streaming.deregistration_delay_s,
            deletion_protection=config.deletion_protection,
            log_bucket=logs.bucket_name,
            log_prefix=PREFIX,
            log_policies=logs.policies,
        ),
        base.lasting,
    )
    Firewall(
        "firewall",
        FirewallArgs(
            balancer_arn=front.arn,
            log_group_arn=base.logs.firewall.arn,
            requests_per_address=config.requests_per_address,
        ),
        base.lasting,
    )
    return front


def state(config: StackConfig, base: Foundation) -> State:
    """Secrets, table, bucket and its queue, and the cache, whose user gets its password when it is made."""
    vault = Vault(
        "vault",
        VaultArgs(
            key_arn=base.encryption.key_arn,
            recovery_days=config.secret_recovery_days,
            deletion_protection=config.deletion_protection,
        ),
        base.on_aws,
    )
    storage = Storage(
        "storage",
        StorageArgs(
            key_arn=base.encryption.key_arn,
            records_days=config.log_retention_days,
            deletion_protection=config.deletion_protection,
        ),
        base.lasting,
    )
    knowledge = Knowledge(
        "knowledge",
        KnowledgeArgs(
            account_id=base.account_id,
            key_arn=base.encryption.key_arn,
            bucket_name=storage.bucket_name,
            bucket_arn=storage.bucket_arn,
        ),
        base.lasting,
    )
    cache = Cache(
        "cache",
        CacheArgs(
            name_prefix=config.name_prefix,
            subnet_ids=base.network.isolated_subnet_ids,
            security_group_id=base.security_groups.cache_id,
            key_arn=base.encryption.key_arn,
            node_type=config.cache_node_type,
            replicas=config.cache_replicas,
            snapshot_days=config.cache_snapshot_days,
            deletion_protection=config.deletion_protection,
            gateway_user_hooks=seed_new_user(vault.arns, config.region),
            gateway_user_after=vault.secrets,
        ),
        base.on_aws,
    )
    return State(vault, storage, knowledge, cache)


def compute(config: StackConfig, base: Foundation, front: Balancer, kept: State) -> Compute:
    """Image, roles, task, the service that runs it, and how many it runs."""
    if config.enable_execute_command and config.is_production:
        warn_in_production()
    registry = Registry(
        "registry",
        RegistryArgs(key_arn=base.encryption.key_arn, deletion_protection=config.deletion_protection),
        base.on_aws,
    )
    image = Image(
        "image",
        ImageArgs(
            repository_url=registry.repository_url,
            registry_id=registry.registry_id,
            digest=config.image_digest,
        ),
        base.on_aws,
    )
    roles = Roles(
        "roles",
        RolesArgs(
            account_id=base.account_id,
            key_arn=base.encryption.key_arn,
            repository_arn=registry.repository_arn,
            log_group_arn=base.logs.gateway.arn,
            pepper_secret_arn=kept.vault.pepper_arn,
            openai_secret_arn=kept.vault.openai_arn,
            cache_secret_arn=kept.vault.cache_arn,
            table_arn=kept.storage.table_arn,
            bucket_arn=kept.storage.bucket_arn,
            alert_topic_arn=base.alerts.topic_arn,
            session_log_group=base.logs.sessions,
            knowledge_queue_arn=kept.knowledge.queue_arn,
        ),
        base.on_aws,
    )
    SecretAccess(
        "secret-access",
        SecretAccessArgs(
            account_id=base.account_id,
            secrets={
                "openai": SecretReaders(kept.vault.openai_arn, [roles.task_role_arn]),
                "pepper": SecretReaders(kept.vault.pepper_arn),
                "owner": SecretReaders(kept.vault.owner_arn),
                "cache": SecretReaders(kept.vault.cache_arn),
            },
        ),
        base.lasting,
    )
    task = Task(
        "task",
        TaskArgs(
            family=config.name_prefix,
            cpu=config.task_cpu,
            memory_mib=config.task_memory_mib,
            execution_role_arn=roles.execution_role_arn,
            task_role_arn=roles.task_role_arn,
            image=image.uri,
            environment=plain_environment(
                config,
                table_name=kept.storage.table_name,
                bucket_name=kept.storage.bucket_name,
                cache_url=kept.cache.url,
                cache_secret_arn=kept.vault.cache_arn,
                openai_secret_arn=kept.vault.openai_arn,
                alert_topic_arn=base.alerts.topic_arn,
                knowledge_queue_url=kept.knowledge.queue_url,
            ),
            secrets=secret_environment(pepper_secret_arn=kept.vault.pepper_arn),
            region=config.region,
            log_group=base.logs.gateway.name,
            stop_timeout_s=config.streaming.stop_timeout_s,
            execute_command=config.enable_execute_command,
            hooks=image_must_be_there(image.uri, config.region) if config.image_digest else None,
        ),
        base.on_aws,
    )
    cluster = Cluster(
        "cluster",
        ClusterArgs(
            cluster_name=config.name_prefix,
            key_arn=base.encryption.key_arn,
            insights_log_group=base.logs.container_insights,
            session_log_group=base.logs.sessions,
        ),
        base.on_aws,
    )
    service = Service(
        "service",
        ServiceArgs(
            cluster_arn=cluster.arn,
            task_definition_arn=task.definition_arn,
            target_group_arn=front.target_group_arn,
            subnet_ids=base.network.private_subnet_ids,
            security_group_id=base.security_groups.tasks_id,
            min_tasks=config.min_tasks,
            execute_command=config.enable_execute_command,
            alarm_names=guard(config, base, front).names,
            after=[
                *base.endpoints,
                *front.listeners,
                *cluster.capacity_providers,
                *roles.policies,
                kept.cache,
            ],
            hooks=pulumi.ResourceHookBinding.merge(
                seed_before_tasks(kept.vault.arns, config.region, kept.cache.gateway_user_id),
                verify_deployments(
                    config.region,
                    LogNames.of(config.name_prefix).gateway,
                    patience_s(config.streaming.deregistration_delay_s, config.streaming.stop_timeout_s),
                ),
            ),
        ),
        base.lasting,
    )
    Scaling(
        "scaling",
        ScalingArgs(
            cluster_name=cluster.cluster_name,
            service_name=service.service_name,
            balancer_arn_suffix=front.arn_suffix,
            target_group_arn_suffix=front.target_group_arn_suffix,
            min_tasks=config.min_tasks,
            max_tasks=config.max_tasks,
            requests_per_target=config.requests_per_target,
            cpu_percent=config.target_cpu_percent,
            in_flight_per_task=config.in_flight_per_task,
            metric_service=config.name_prefix,
            floors=config.scheduled_floors,
            timezone=config.schedule_timezone,
        ),
        base.on_aws,
    )
    return Compute(registry, cluster, service)


def access(config: StackConfig, base: Foundation, front: Balancer, kept: State, tasks: Compute) -> Access:
    """Who may look at all of it, and who may change it."""
    return Access(
        "access",
        AccessArgs(
            repository=config.repository,
            environment=config.environment,
            provider=config.github_oidc_provider,
            reach=Reach(
                region=config.region,
                role_path=role_path(config.name_prefix),
                account_id=base.account_id,
                boundary_arn=base.boundary_arn,
                repository_arn=tasks.registry.repository_arn,
                table_arn=kept.storage.table_arn,
                bucket_arns=[kept.storage.bucket_arn, front.log_bucket_arn],
                cache_secret_arn=kept.vault.cache_arn,
                closed_secret_arns=[kept.vault.openai_arn, kept.vault.pepper_arn, kept.vault.owner_arn],
            ),
        ),
        base.unbounded,
    )
