"""What is deployed as the cache: replication group, parameters and users, read from local AWS."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local.aws import exchange
from local.aws.client import LocalAws


@dataclass(frozen=True)
class CacheUser:
    """A user as ElastiCache knows it. password_hashes: SHA-256 in hex."""

    user_id: str
    name: str
    access_string: str
    password_hashes: tuple[str, ...]
    needs_password: bool

    @property
    def acl_rules(self) -> list[str]:
        """The user's whole state as rules of ACL SETUSER; access strings are written in that syntax."""
        passwords = [f"#{digest}" for digest in self.password_hashes] if self.needs_password else ["nopass"]
        return ["reset", *self.access_string.split(), *passwords]


@dataclass(frozen=True)
class DeployedCache:
    """A replication group. parameters: those its group sets."""

    replication_group_id: str
    port: int
    serves_tls: bool
    parameters: dict[str, str]
    users: tuple[CacheUser, ...]


def deployed_cache(aws: LocalAws, exchange_folder: Path) -> DeployedCache | None:
    """The stack's replication group, or None if the program deploys none."""
    groups = aws.call("elasticache", "describe_replication_groups")["ReplicationGroups"]
    if not groups:
        return None
    group = groups[0]
    member = aws.call("elasticache", "describe_cache_clusters", CacheClusterId=group["MemberClusters"][0])
    parameter_group = member["CacheClusters"][0]["CacheParameterGroup"]["CacheParameterGroupName"]
    return DeployedCache(
        replication_group_id=group["ReplicationGroupId"],
        port=group["NodeGroups"][0]["PrimaryEndpoint"]["Port"],
        serves_tls=group["TransitEncryptionEnabled"],
        parameters=_parameters(aws, parameter_group),
        users=_users(aws, exchange_folder, group.get("UserGroupIds", [])),
    )


def _parameters(aws: LocalAws, group: str) -> dict[str, str]:
    if group.startswith("default."):
        return {}
    answer = aws.call("elasticache", "describe_cache_parameters", CacheParameterGroupName=group)
    return {item["ParameterName"]: item["ParameterValue"] for item in answer["Parameters"]}


def _users(aws: LocalAws, exchange_folder: Path, group_ids: Iterable[str]) -> tuple[CacheUser, ...]:
    hashes = exchange.password_hashes(exchange_folder)
    members: set[str] = set()
    for group_id in group_ids:
        answer = aws.call("elasticache", "describe_user_groups", UserGroupId=group_id)
        members |= set(answer["UserGroups"][0]["UserIds"])
    users = aws.call("elasticache", "describe_users")["Users"]
    return tuple(
        CacheUser(
            user_id=user["UserId"],
            name=user["UserName"],
            access_string=user["AccessString"],
            password_hashes=tuple(hashes.get(user["UserId"], [])),
            needs_password=user["Authentication"]["Type"] == "password",
        )
        for user in users
        if user["UserId"] in members
    )
