"""ElastiCache: moto invents a replication group's endpoint, and counts one node whatever was asked for.

The endpoint told here is the one on this machine that answers.
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

    patch(ElastiCacheBackend, create_replication_group=create_replication_group)


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
