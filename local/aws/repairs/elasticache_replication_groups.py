"""ElastiCache: moto invents a replication group's endpoint, and counts one node whatever was asked for.

The endpoint told here is the one on this machine that answers. The nodes of a group are described too, since
only they tell which parameter group it uses.
"""

import os
from typing import Any

from moto.elasticache.models import ElastiCacheBackend

from local.aws.exchange import CACHE_PORT_VARIABLE
from local.aws.repairs.patch import patch


def repair() -> None:
    create = ElastiCacheBackend.create_replication_group

    def create_replication_group(self: Any, **parameters: Any) -> Any:
        nodes = parameters.get("num_cache_clusters")
        if nodes and not parameters.get("replicas_per_node_group"):
            parameters["replicas_per_node_group"] = nodes - 1
        group = create(self, **parameters)
        _point_to_this_machine(group)
        return group

    describe: Any = ElastiCacheBackend.describe_cache_clusters

    def describe_cache_clusters(self: Any, cache_cluster_id: str | None = None) -> list[Any]:
        groups = self.replication_groups.values()
        nodes = [_node(self, group, node) for group in groups for node in group.member_clusters]
        if not cache_cluster_id:
            return [*nodes, *describe(self)]
        found = [node for node in nodes if node["CacheClusterId"] == cache_cluster_id]
        return found or [*describe(self, cache_cluster_id)]

    patch(
        ElastiCacheBackend,
        create_replication_group=create_replication_group,
        describe_cache_clusters=describe_cache_clusters,
    )


def _node(backend: Any, group: Any, node: str) -> dict[str, Any]:
    version = str(group.engine_version or "8.0")
    default = f"default.{group.engine}{version.split('.')[0]}"
    return {
        "CacheClusterId": node,
        "ARN": f"arn:aws:elasticache:{backend.region_name}:{backend.account_id}:cluster:{node}",
        "CacheClusterStatus": "available",
        "CacheNodeType": group.cache_node_type,
        "Engine": group.engine,
        "EngineVersion": version if version.count(".") == 2 else f"{version}.0",
        "NumCacheNodes": 1,
        "ReplicationGroupId": group.replication_group_id,
        "CacheSubnetGroupName": group.cache_subnet_group_name,
        "CacheParameterGroup": {
            "CacheParameterGroupName": group.cache_parameter_group_name or default,
            "ParameterApplyStatus": "in-sync",
        },
        "SecurityGroups": [
            {"SecurityGroupId": security_group, "Status": "active"}
            for security_group in group.security_group_ids or []
        ],
        "AtRestEncryptionEnabled": group.at_rest_encryption_enabled,
        "TransitEncryptionEnabled": group.transit_encryption_enabled,
    }


def _point_to_this_machine(group: Any) -> None:
    port = int(os.environ.get(CACHE_PORT_VARIABLE, "0"))
    if not port:
        return
    endpoint = {"address": "127.0.0.1", "port": port}
    group.port = port
    for node_group in group.node_groups:
        node_group["port"] = port
        node_group["primary_endpoint"] = node_group["reader_endpoint"] = endpoint
        node_group["primary_endpoint_address"] = node_group["reader_endpoint_address"] = endpoint["address"]
        for member in node_group["node_group_members"]:
            member["read_endpoint"] = endpoint
