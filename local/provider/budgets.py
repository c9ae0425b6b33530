"""AWS Budgets."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:budgets/budget:Budget")
def budget(request: ResourceRequest) -> Created:
    account = request.call("sts", "get_caller_identity")["Account"]
    name = request.physical_name(longest=100)
    expression = request.get("filterExpression")
    request.call(
        "budgets", "create_budget",
        AccountId=account,
        Budget={
            "BudgetName": name,
            "BudgetType": request["budgetType"],
            "TimeUnit": request["timeUnit"],
            "BudgetLimit": {"Amount": request["limitAmount"], "Unit": request["limitUnit"]},
            **({"FilterExpression": _expression(expression)} if expression else {}),
            **({"Metrics": [request["metrics"]]} if request.get("metrics") else {}),
        },
        NotificationsWithSubscribers=[
            {
                "Notification": {
                    "NotificationType": told["notificationType"],
                    "ComparisonOperator": told["comparisonOperator"],
                    "Threshold": told["threshold"],
                    "ThresholdType": told["thresholdType"],
                },
                "Subscribers": [
                    {"SubscriptionType": kind, "Address": address}
                    for kind, key in SUBSCRIBERS.items()
                    for address in told.get(key) or []
                ],
            }
            for told in request.get("notifications", [])
        ],
        ResourceTags=request.tag_list(),
    )  # fmt: skip
    return Created(f"{account}:{name}", {"name": name, "arn": f"arn:aws:budgets::{account}:budget/{name}"})


SUBSCRIBERS = {"EMAIL": "subscriberEmailAddresses", "SNS": "subscriberSnsTopicArns"}
"""Kind of a subscriber -> the input that lists their addresses."""


def _expression(given: dict[str, Any]) -> dict[str, Any]:
    """A filter in the API's names: conjunctions of tags, which is what the program uses."""
    if "ands" in given:
        return {"And": [_expression(part) for part in given["ands"]]}
    tags = given["tags"]
    return {"Tags": {"Key": tags["key"], "Values": list(tags["values"])}}
