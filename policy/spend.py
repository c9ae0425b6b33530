"""What a stack costs is watched."""

from policy.resource import Graph, default_tags, of_type


def spending_is_watched(graph: Graph) -> list[str]:
    """A monthly budget counts what carries the stack's tags, and tells of actual and of forecast spending."""
    tags = next(iter(default_tags(graph).values()), {})
    wanted = {(key, tags.get(key)) for key in ("project", "stack")}
    budgets = of_type(graph, "budgets/budget:Budget")
    found = [] if budgets else ["the stack has no budget"]
    for budget in budgets:
        filters = budget.get("filterExpression", "ands") or []
        counted = {(part["tags"]["key"], *part["tags"]["values"]) for part in filters if "tags" in part}
        if counted != wanted:
            found.append(
                f"{budget} does not count what carries the stack's tags: {sorted(map(str, counted))}"
            )
        told = {
            notification["notificationType"]
            for notification in budget.get("notifications") or []
            if notification.get("subscriberSnsTopicArns") and notification.get("subscriberEmailAddresses")
        }
        if missing := {"ACTUAL", "FORECASTED"} - told:
            found.append(f"{budget} tells nobody of {', '.join(sorted(missing)).lower()} spending")
    return found
