"""The cache: ElastiCache for Valkey, encrypted, over TLS, with a user of its own for the gateway."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.seed import CACHE_USER_NAME

ENGINE = "valkey"
ENGINE_VERSION = "8.1"
PARAMETER_FAMILY = "valkey8"
CACHE_PORT = 6379

# UTC; nights in the US.
SNAPSHOT_WINDOW = "08:00-09:00"
MAINTENANCE_WINDOW = "sun:09:30-sun:10:30"

GATEWAY_COMMANDS = (
    "on ~* &* -@all +@read +@write +@connection +@transaction +@scripting +@pubsub +@stream "
    "-@admin -@dangerous +info +time"
)
"""An ACL: data, scripts and messages, not the server's administration. `info` is classed as dangerous
but is how the gateway learns of memory and role."""

NOBODY = "off ~* -@all"


@dataclass(frozen=True)
class CacheArgs:
    """replicas: beside the primary; with one or more it fails over to another zone.
    snapshot_days: how long the nightly snapshots are kept, 0 for none.
    gateway_user_hooks: run when the gateway's user has been made, before anything uses it."""

    name_prefix: str
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    node_type: str
    replicas: int
    snapshot_days: int
    deletion_protection: bool
    gateway_user_hooks: pulumi.ResourceHookBinding
    gateway_user_after: Sequence[pulumi.Resource]


class Cache(pulumi.ComponentResource):
    """A replication group that only authenticated users reach, and only from its security group's sources."""

    host: pulumi.Output[str]
    port: pulumi.Output[int]
    url: pulumi.Output[str]
    gateway_user_id: pulumi.Output[str]
    replication_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Cache", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        gateway = _user(
            name,
            "gateway",
            args,
            CACHE_USER_NAME,
            GATEWAY_COMMANDS,
            pulumi.ResourceOptions(
                parent=self, depends_on=args.gateway_user_after, hooks=args.gateway_user_hooks
            ),
        )
        # Whoever connects without a user name is `default`; here that is nobody.
        default = _user(name, "default", args, "default", NOBODY, child)
        users = aws.elasticache.UserGroup(
            f"{name}-users",
            engine=ENGINE,
            user_group_id=elasticache_id(f"{args.name_prefix}-users"),
            user_ids=[gateway.user_id, default.user_id],
            opts=child,
        )
        subnets = aws.elasticache.SubnetGroup(
            name, description="Isolated subnets", subnet_ids=list(args.subnet_ids), opts=child
        )
        parameters = aws.elasticache.ParameterGroup(
            name,
            description="Evicts only what carries an expiry",
            family=PARAMETER_FAMILY,
            # Cached answers expire and may go early. What must stay, carries no expiry and is never evicted.
            parameters=[{"name": "maxmemory-policy", "value": "volatile-ttl"}],
            opts=child,
        )
        group = aws.elasticache.ReplicationGroup(
            name,
            replication_group_id=elasticache_id(args.name_prefix),
            description="Response cache and limits of the gateway",
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            node_type=args.node_type,
            num_cache_clusters=1 + args.replicas,
            automatic_failover_enabled=args.replicas > 0,
            multi_az_enabled=args.replicas > 0,
            port=CACHE_PORT,
            parameter_group_name=parameters.name,
            subnet_group_name=subnets.name,
            security_group_ids=[args.security_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=args.key_arn,
            user_group_ids=[users.user_group_id],
            snapshot_retention_limit=args.snapshot_days,
            snapshot_window=SNAPSHOT_WINDOW,
            maintenance_window=MAINTENANCE_WINDOW,
            auto_minor_version_upgrade=True,
            apply_immediately=not args.deletion_protection,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protection),
        )
        self.host = group.primary_endpoint_address
        self.port = group.port.apply(lambda port: port or CACHE_PORT)
        self.url = pulumi.Output.format("rediss://{0}:{1}", self.host, self.port)
        self.gateway_user_id = gateway.user_id
        self.replication_group_id = group.replication_group_id
        self.register_outputs({"url": self.url})


def _user(
    name: str, suffix: str, args: CacheArgs, user_name: str, access: str, opts: pulumi.ResourceOptions
) -> aws.elasticache.User:
    """A user whose password nobody knows: ElastiCache wants one, `infra/seed.py` sets the gateway's at once.

    A later run draws another, which the state ignores, so neither a value in use nor a change ever shows.
    """
    unknown = pulumi.Output.secret(secrets.token_urlsafe(48))
    return aws.elasticache.User(
        f"{name}-{suffix}",
        engine=ENGINE,
        user_id=elasticache_id(f"{args.name_prefix}-{suffix}"),
        user_name=user_name,
        access_string=access,
        authentication_mode={"type": "password", "passwords": [unknown]},
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["authenticationMode"])
        ),
    )


def elasticache_id(wanted: str) -> str:
    """An id that ElastiCache takes, for groups and users alike: at most 40 lower-case letters, digits and
    single hyphens. What is too long is cut and ends in a digest, so that two long names stay two."""
    name = "-".join(part for part in wanted.lower().replace("_", "-").replace(".", "-").split("-") if part)
    if len(name) <= 40:
        return name
    return f"{name[:31].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
