"""A budget on local AWS is what an API caller finds: its limit, its filter, who is told, its tags."""

from local.aws.client import ACCOUNT_ID, LocalAws
from local.provider.registry import ResourceRequest, resource_handler

KIND = "aws:budgets/budget:Budget"


def test_a_budget_keeps_its_filter_its_subscribers_and_its_tags(aws: LocalAws, unique: str) -> None:
    told = {
        "notificationType": "FORECASTED",
        "comparisonOperator": "GREATER_THAN",
        "threshold": 100,
        "thresholdType": "PERCENTAGE",
        "subscriberEmailAddresses": ["a@example.com"],
        "subscriberSnsTopicArns": ["arn:aws:sns:us-east-1:123456789012:alerts"],
    }
    inputs = {
        "name": unique,
        "budgetType": "COST",
        "timeUnit": "MONTHLY",
        "limitAmount": "200",
        "limitUnit": "USD",
        "metrics": "UnblendedCost",
        "filterExpression": {"ands": [{"tags": {"key": "stack", "values": ["staging"]}}]},
        "notifications": [told],
    }
    created = resource_handler(KIND)(ResourceRequest(aws, KIND, "spend", inputs, {"stack": "test"}))
    assert created.id == f"{ACCOUNT_ID}:{unique}"

    where = {"AccountId": ACCOUNT_ID, "BudgetName": unique}
    budget = aws.call("budgets", "describe_budget", **where)["Budget"]
    assert budget["BudgetLimit"] == {"Amount": "200", "Unit": "USD"}
    assert budget["FilterExpression"] == {"And": [{"Tags": {"Key": "stack", "Values": ["staging"]}}]}
    [notification] = aws.call("budgets", "describe_notifications_for_budget", **where)["Notifications"]
    subscribers = aws.call(
        "budgets", "describe_subscribers_for_notification", **where, Notification=notification
    )["Subscribers"]
    assert {(s["SubscriptionType"], s["Address"]) for s in subscribers} == {
        ("EMAIL", "a@example.com"),
        ("SNS", "arn:aws:sns:us-east-1:123456789012:alerts"),
    }
    tags = aws.call("budgets", "list_tags_for_resource", ResourceARN=created.outputs["arn"])["ResourceTags"]
    assert tags == [{"Key": "stack", "Value": "test"}]
