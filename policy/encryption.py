"""Everything that can be encrypted is, with the stack's own key; the cache authenticates over TLS."""

from policy.resource import Graph, Resource, key_arns, of_type

# Where a resource names its key: type -> path.
KEY_PATHS: dict[str, tuple[str | int, ...]] = {
    "cloudwatch/logGroup:LogGroup": ("kmsKeyId",),
    "dynamodb/table:Table": ("serverSideEncryption", "kmsKeyArn"),
    "ecr/repository:Repository": ("encryptionConfigurations", 0, "kmsKey"),
    "elasticache/replicationGroup:ReplicationGroup": ("kmsKeyId",),
    "secretsmanager/secret:Secret": ("kmsKeyId",),
    "sns/topic:Topic": ("kmsMasterKeyId",),
    "sqs/queue:Queue": ("kmsMasterKeyId",),
}

# What turns encryption on, where naming a key alone does not.
SWITCHES: dict[str, tuple[str | int, ...]] = {
    "dynamodb/table:Table": ("serverSideEncryption", "enabled"),
    "elasticache/replicationGroup:ReplicationGroup": ("atRestEncryptionEnabled",),
}


def encrypted_with_the_stacks_key(graph: Graph) -> list[str]:
    """Whatever holds data, messages, logs, secrets or images is encrypted with a key of this stack."""
    keys = key_arns(graph)
    found = []
    for kind, path in KEY_PATHS.items():
        for resource in of_type(graph, kind):
            if resource.get(*path) not in keys:
                found.append(f"{resource} is not encrypted with the stack's key")
            elif kind in SWITCHES and resource.get(*SWITCHES[kind]) is not True:
                found.append(f"{resource} names a key and does not turn encryption on")
    for repository in of_type(graph, "ecr/repository:Repository"):
        if repository.get("encryptionConfigurations", 0, "encryptionType") != "KMS":
            found.append(f"{repository} does not encrypt images with KMS")
    return found + _buckets(graph, keys)


def keys_rotate(graph: Graph) -> list[str]:
    """Every key changes its material each year."""
    keys = of_type(graph, "kms/key:Key")
    return [f"{key} does not rotate" for key in keys if key.get("enableKeyRotation") is not True]


def cache_is_authenticated_over_tls(graph: Graph) -> list[str]:
    """A replication group takes TLS only, and users with passwords only."""
    users = {user.get("userId"): user for user in of_type(graph, "elasticache/user:User")}
    members = {
        group.get("userGroupId"): group.get("userIds") or []
        for group in of_type(graph, "elasticache/userGroup:UserGroup")
    }
    found = []
    for cache in of_type(graph, "elasticache/replicationGroup:ReplicationGroup"):
        if (
            cache.get("transitEncryptionEnabled") is not True
            or cache.get("transitEncryptionMode") != "required"
        ):
            found.append(f"{cache} accepts connections without TLS")
        groups = cache.get("userGroupIds") or []
        if not groups and not cache.get("authToken"):
            found.append(f"{cache} asks nobody who they are")
        for user_id in {user_id for group in groups for user_id in members.get(group, [])}:
            found += _user(users[user_id])
    return found


def _user(user: Resource) -> list[str]:
    found = []
    if user.get("authenticationMode", "type") not in ("password", "iam") or user.get("noPasswordRequired"):
        found.append(f"{user} needs no password")
    rules = str(user.get("accessString")).split()
    if user.get("userName") == "default" and "off" not in rules:
        found.append(f"{user} lets in whoever gives no user name")
    if "+@all" in rules or "allcommands" in rules:
        found.append(f"{user} may run every command")
    return found


def _buckets(graph: Graph, keys: set[str]) -> list[str]:
    """S3's settings are resources of their own, tied to a bucket by its name.

    A balancer writes access logs only to a bucket with S3's own keys (ELB user guide, "Access logs").
    """
    log_buckets = {
        balancer.get("accessLogs", "bucket") for balancer in of_type(graph, "lb/loadBalancer:LoadBalancer")
    }
    settings = of_type(
        graph, "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    default = ("rules", 0, "applyServerSideEncryptionByDefault")
    key_of = {s.get("bucket"): s.get(*default, "kmsMasterKeyId") for s in settings}
    algorithm_of = {s.get("bucket"): s.get(*default, "sseAlgorithm") for s in settings}
    return [
        f"{bucket} is not encrypted with the stack's key"
        for bucket in of_type(graph, "s3/bucket:Bucket")
        if key_of.get(bucket.get("bucket")) not in keys
        and not (bucket.get("bucket") in log_buckets and algorithm_of.get(bucket.get("bucket")) == "AES256")
    ]
