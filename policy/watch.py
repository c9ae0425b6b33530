"""What people are told of: alarms that reach somebody, and deployments that somebody's alarms can stop."""

from policy.resource import Graph, of_type


def alarms_reach_people(graph: Graph) -> list[str]:
    """Every alarm tells a topic of this stack that has a subscriber, when it goes off and when it is over."""
    heard = {s.get("topic") for s in of_type(graph, "sns/topicSubscription:TopicSubscription")}
    found = []
    for alarm in of_type(graph, "cloudwatch/metricAlarm:MetricAlarm"):
        if alarm.get("actionsEnabled") is False or not heard.intersection(alarm.get("alarmActions") or []):
            found.append(f"{alarm} goes off and nobody is told")
        elif not heard.intersection(alarm.get("okActions") or []):
            found.append(f"{alarm} is over and nobody is told")
        if not alarm.get("alarmDescription"):
            found.append(f"{alarm} does not say what it means and what to do")
    return found


def deployments_roll_back(graph: Graph) -> list[str]:
    """Every service undoes a deployment that does not start, and one that clients suffer from.

    An alarm that goes off without data would end every deployment of a service that nobody uses yet.
    """
    alarms = {alarm.get("name"): alarm for alarm in of_type(graph, "cloudwatch/metricAlarm:MetricAlarm")}
    found = []
    for service in of_type(graph, "ecs/service:Service"):
        if service.get("deploymentCircuitBreaker") != {"enable": True, "rollback": True}:
            found.append(f"{service} keeps a deployment that does not start")
        watched = service.get("alarms") or {}
        names = watched.get("alarmNames") or []
        if not (names and watched.get("enable") and watched.get("rollback")):
            found.append(f"{service} keeps a deployment that fails its clients")
        for name in names:
            if name not in alarms:
                found.append(f"{service} is watched by {name}, which is no alarm of this stack")
            elif alarms[name].get("treatMissingData") == "breaching":
                found.append(f"{alarms[name]} ends a deployment when there is no data")
    return found
