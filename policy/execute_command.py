"""Shells inside tasks: off, or on with every session logged and encrypted."""

import json

from policy.resource import Graph, of_type

CHANNELS = "ssmmessages:"


def sessions_are_logged(graph: Graph) -> list[str]:
    """Where people may enter tasks, what they do is kept in a log of the stack and travels encrypted."""
    groups = {group.get("name") for group in of_type(graph, "cloudwatch/logGroup:LogGroup")}
    keys = {key.get("arn") for key in of_type(graph, "kms/key:Key")}
    clusters = {cluster.get("arn"): cluster for cluster in of_type(graph, "ecs/cluster:Cluster")}
    found = []
    for service in of_type(graph, "ecs/service:Service"):
        cluster = clusters.get(service.get("cluster"))
        if not service.get("enableExecuteCommand") or cluster is None:
            continue
        sessions = cluster.get("configuration", "executeCommandConfiguration") or {}
        log = sessions.get("logConfiguration") or {}
        if sessions.get("logging") != "OVERRIDE" or log.get("cloudWatchLogGroupName") not in groups:
            found.append(f"{service} lets people into tasks and {cluster} keeps no log of it")
        elif log.get("cloudWatchEncryptionEnabled") is not True:
            found.append(f"{cluster} keeps sessions where their log is not encrypted")
        if sessions.get("kmsKeyId") not in keys:
            found.append(f"{cluster} does not encrypt sessions with the stack's key")
    return found


def nobody_can_enter_by_accident(graph: Graph) -> list[str]:
    """A role that can open sessions is there only with a service that lets people in."""
    if any(service.get("enableExecuteCommand") for service in of_type(graph, "ecs/service:Service")):
        return []
    return [
        f"{policy} may open sessions, and no service lets people into its tasks"
        for policy in of_type(graph, "iam/rolePolicy:RolePolicy")
        for statement in json.loads(policy.get("policy"))["Statement"]
        if statement["Effect"] == "Allow" and CHANNELS in json.dumps(statement.get("Action"))
    ]
