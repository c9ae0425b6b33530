"""Alarms that nobody hears, and deployments that nothing stops, are said."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from policy.resource import Resource
from policy.watch import alarms_reach_people, deployments_roll_back

Mutate = Callable[..., list[Resource]]

CASES: list[tuple[Callable[[Sequence[Resource]], list[str]], tuple[str, str, str, Any], str]] = [
    (alarms_reach_people, ("MetricAlarm", "cache-memory", "alarmActions", []), "goes off and nobody is told"),
    (
        alarms_reach_people,
        ("MetricAlarm", "cache-memory", "actionsEnabled", False),
        "goes off and nobody is told",
    ),
    (
        alarms_reach_people,
        ("MetricAlarm", "cache-memory", "alarmActions", ["arn:aws:sns:us-east-1:1:elsewhere"]),
        "goes off and nobody is told",
    ),
    (alarms_reach_people, ("MetricAlarm", "cache-memory", "okActions", []), "is over and nobody is told"),
    (alarms_reach_people, ("MetricAlarm", "cache-memory", "alarmDescription", ""), "does not say what"),
    (
        deployments_roll_back,
        ("Service", "service", "deploymentCircuitBreaker.rollback", False),
        "keeps a deployment that does not start",
    ),
    (
        deployments_roll_back,
        ("Service", "service", "alarms.alarmNames", []),
        "keeps a deployment that fails its clients",
    ),
    (
        deployments_roll_back,
        ("Service", "service", "alarms.rollback", False),
        "keeps a deployment that fails its clients",
    ),
    (
        deployments_roll_back,
        ("Service", "service", "alarms.alarmNames.0", "another"),
        "watched by another, which is no alarm of this stack",
    ),
    (
        deployments_roll_back,
        ("MetricAlarm", "slow-answers", "treatMissingData", "breaching"),
        "MetricAlarm slow-answers ends a deployment when there is no data",
    ),
]


@pytest.mark.parametrize(("invariant", "change", "words"), CASES)
def test_the_mistake_is_said(
    invariant: Callable[[Sequence[Resource]], list[str]],
    change: tuple[str, str, str, Any],
    words: str,
    with_changed: Mutate,
) -> None:
    [sentence] = invariant(with_changed(*change))
    assert words in sentence


def test_a_topic_without_a_subscriber_reaches_nobody(graph: Sequence[Resource]) -> None:
    unheard = [r for r in graph if not r.type.endswith(":TopicSubscription")]
    assert len(alarms_reach_people(unheard)) == len([r for r in graph if r.type.endswith(":MetricAlarm")])
