"""What lasts and what is told apart: protection in production, retention of logs, tags on everything."""

from policy.resource import Graph, Resource, default_tags, is_production, of_type

REQUIRED_TAGS = {"project", "stack", "environment", "owner", "cost-center", "repository"}

# Whose loss cannot be undone; production's Pulumi state refuses to delete or replace them.
IRREPLACEABLE = (
    "dynamodb/table:Table",
    "ecr/repository:Repository",
    "elasticache/replicationGroup:ReplicationGroup",
    "kms/key:Key",
    "lb/loadBalancer:LoadBalancer",
    "s3/bucket:Bucket",
    "secretsmanager/secret:Secret",
)


# Without it requests end or data lies open, and nothing else that is protected keeps it: Pulumi keeps what a
# protected resource depends on, and nothing depends on most of these.
OUTERMOST = (
    "ec2/route:Route",
    "ec2/routeTableAssociation:RouteTableAssociation",
    "ecs/service:Service",
    "lb/listener:Listener",
    "s3/bucketPolicy:BucketPolicy",
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "secretsmanager/secretPolicy:SecretPolicy",
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "wafv2/webAclAssociation:WebAclAssociation",
)


def production_is_protected(graph: Graph) -> list[str]:
    """In production neither AWS nor Pulumi removes what cannot be made again, nor Pulumi what serves."""
    if not is_production(graph):
        return []
    aliases = [record for record in of_type(graph, "route53/record:Record") if record.get("aliases")]
    kept = [*of_type(graph, *IRREPLACEABLE, *OUTERMOST), *aliases]
    found = [f"{r} is not protected in Pulumi" for r in kept if not r.protect]
    for resource in of_type(graph, *IRREPLACEABLE):
        if not _aws_keeps(resource):
            found.append(f"{resource} can be deleted on AWS at once")
    for cache in of_type(graph, "elasticache/replicationGroup:ReplicationGroup"):
        if not (cache.get("automaticFailoverEnabled") and cache.get("multiAzEnabled")):
            found.append(f"{cache} does not fail over to another zone")
        if not cache.get("snapshotRetentionLimit"):
            found.append(f"{cache} keeps no snapshots")
    return found


def table_can_be_restored(graph: Graph) -> list[str]:
    """Tables keep point-in-time recovery and buckets keep superseded versions, in every environment."""
    versioned = {
        versioning.get("bucket")
        for versioning in of_type(graph, "s3/bucketVersioning:BucketVersioning")
        if versioning.get("versioningConfiguration", "status") == "Enabled"
    }
    tables = [
        f"{table} has no point-in-time recovery"
        for table in of_type(graph, "dynamodb/table:Table")
        if table.get("pointInTimeRecovery", "enabled") is not True
    ]
    buckets = of_type(graph, "s3/bucket:Bucket")
    return tables + [f"{b} keeps no versions" for b in buckets if b.get("bucket") not in versioned]


def every_log_group_has_a_retention(graph: Graph) -> list[str]:
    """No log is kept for ever by accident."""
    return [
        f"{group} is kept for ever"
        for group in of_type(graph, "cloudwatch/logGroup:LogGroup")
        if not group.get("retentionInDays")
    ]


def everything_is_tagged(graph: Graph) -> list[str]:
    """Every AWS resource is made by a provider with complete default tags, and overrides none of them."""
    tags_of = default_tags(graph)
    found = []
    for resource in graph:
        if not resource.type.startswith("aws:"):
            continue
        tags = tags_of.get(resource.provider or "", {})
        missing = sorted(REQUIRED_TAGS - {key for key, value in tags.items() if value})
        if missing:
            found.append(f"{resource} lacks the tags {', '.join(missing)}")
        own = resource.get("tags")
        if isinstance(own, dict) and REQUIRED_TAGS.intersection(own):
            found.append(f"{resource} overrides the tags {sorted(REQUIRED_TAGS.intersection(own))}")
    return found


def autoscaling_owns_the_number_of_tasks(graph: Graph) -> list[str]:
    """Where a scaling target exists, a later `up` does not set the number of tasks back."""
    if not of_type(graph, "appautoscaling/target:Target"):
        return []
    services = of_type(graph, "ecs/service:Service")
    return [f"{s} is set back to its first size" for s in services if "desiredCount" not in s.ignore_changes]


def _aws_keeps(resource: Resource) -> bool:
    match resource.type.removeprefix("aws:"):
        case "dynamodb/table:Table":
            return resource.get("deletionProtectionEnabled") is True
        case "lb/loadBalancer:LoadBalancer":
            return resource.get("enableDeletionProtection") is True
        case "kms/key:Key":
            return int(resource.get("deletionWindowInDays") or 0) >= 30
        case "secretsmanager/secret:Secret":
            return int(resource.get("recoveryWindowInDays") or 0) >= 7
        case "s3/bucket:Bucket":
            return not resource.get("forceDestroy")
        case "ecr/repository:Repository":
            return not resource.get("forceDelete")
    return True
