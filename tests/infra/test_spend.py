"""Each stack has a budget of its own, and its owner hears of spending before and after it happens."""

from tests.infra.graph import StackGraph, stack_graph


def test_the_budget_is_the_configured_one() -> None:
    budget = stack_graph("staging", monthly_budget_usd="321").one("Budget")
    assert (budget.get("limitAmount"), budget.get("limitUnit")) == ("321", "USD")
    assert (budget.get("budgetType"), budget.get("timeUnit")) == ("COST", "MONTHLY")


def test_the_budget_counts_this_stack_of_this_project_only(either: StackGraph) -> None:
    [project, stack] = either.one("Budget").get("filterExpression", "ands")
    assert project["tags"] == {"key": "project", "values": ["openai-gateway"]}
    assert stack["tags"]["values"] in (["staging"], ["prod"])


def test_the_owner_and_the_alert_topic_hear_of_80_and_100_percent_and_of_a_forecast(
    either: StackGraph,
) -> None:
    told = either.one("Budget").get("notifications")
    assert [(n["notificationType"], n["threshold"]) for n in told] == [
        ("ACTUAL", 80),
        ("ACTUAL", 100),
        ("FORECASTED", 100),
    ]
    for notification in told:
        assert notification["subscriberEmailAddresses"] == ["platform@example.com"]
        assert notification["subscriberSnsTopicArns"] == [either.outputs["alert_topic_arn"]]


def test_the_topics_policy_is_there_before_the_budget_publishes_to_it(either: StackGraph) -> None:
    assert either.one("TopicPolicy").urn in either.waits_for(either.one("Budget").urn)
