"""A budget that misses the stack's cost, or tells nobody, is said."""

from collections.abc import Callable

from policy.resource import Resource
from policy.spend import spending_is_watched
from tests.infra.graph import Registered

Mutate = Callable[..., list[Resource]]


def test_a_stack_without_a_budget_is_said(graph: list[Registered]) -> None:
    rest = [r for r in graph if not r.type.endswith(":Budget")]
    assert spending_is_watched(rest) == ["the stack has no budget"]


def test_a_budget_over_another_stack_is_said(with_changed: Mutate) -> None:
    changed = with_changed("Budget", "spend", "filterExpression.ands.1.tags.values", ["staging"])
    assert "does not count what carries the stack's tags" in spending_is_watched(changed)[0]


def test_a_budget_over_the_whole_account_is_said(with_changed: Mutate) -> None:
    [sentence] = spending_is_watched(with_changed("Budget", "spend", "filterExpression", None))
    assert "does not count" in sentence


def test_a_forecast_that_nobody_hears_of_is_said(with_changed: Mutate) -> None:
    changed = with_changed("Budget", "spend", "notifications.2.subscriberSnsTopicArns", [])
    assert spending_is_watched(changed) == ["Budget spend tells nobody of forecasted spending"]
