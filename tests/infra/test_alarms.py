"""Alarms: what each looks at, when it goes off, and that its expression speaks of metrics it has."""

import json
import re
from typing import Any

import pytest

from app.telemetry import RequestRecord
from infra.stopped_tasks import pattern
from infra.upstream_throttles import PATTERN
from tests.infra.graph import Registered, StackGraph, stack_graph

EVERYWHERE = {
    "failed-requests",
    "slow-answers",
    "no-healthy-task",
    "unhealthy-tasks",
    "refused-connections",
    "task-restarts",
    "task-memory",
    "task-cpu",
    "cache-memory",
    "cache-evictions",
    "cache-cpu",
    "cache-failover",
    "table-throttles",
    "upstream-throttles",
    "knowledge-not-taken",
    "nat-ports",
}


def metrics(alarm: Registered) -> list[dict[str, Any]]:
    return [query["metric"] for query in alarm.get("metricQueries") if "metric" in query]


def expression(alarm: Registered) -> str | None:
    found = [query["expression"] for query in alarm.get("metricQueries") if "expression" in query]
    return str(found[0]) if found else None


def test_production_watches_its_certificate_too(staging: StackGraph, production: StackGraph) -> None:
    assert {alarm.name for alarm in staging.all("MetricAlarm")} == EVERYWHERE
    assert {alarm.name for alarm in production.all("MetricAlarm")} == EVERYWHERE | {"certificate-expires"}


def test_names_begin_with_the_stacks_so_that_a_mail_says_where(either: StackGraph) -> None:
    prefix = either.outputs["cluster_name"]
    assert {a.get("name") for a in either.all("MetricAlarm")} == {
        f"{prefix}-{a.name}" for a in either.all("MetricAlarm")
    }


def test_every_alarm_looks_at_one_result_and_names_only_metrics_it_has(either: StackGraph) -> None:
    for alarm in either.all("MetricAlarm"):
        queries = alarm.get("metricQueries")
        assert [q["returnData"] for q in queries].count(True) == 1, alarm
        assert queries[-1]["returnData"] is True, alarm
        known = {q["id"] for q in queries if "metric" in q}
        named = set(re.findall(r"\bm\d+\b", expression(alarm) or ""))
        assert named <= known, alarm
        assert named == known or "METRICS()" in (expression(alarm) or "METRICS()"), alarm
        assert len(queries) <= 10, f"{alarm}: CloudWatch takes ten metrics an alarm"
        assert alarm.get("datapointsToAlarm") <= alarm.get("evaluationPeriods"), alarm
        # CloudWatch evaluates at most a day at once where the period is an hour or less.
        period = metrics(alarm)[0]["period"]
        assert period * alarm.get("evaluationPeriods") <= 86_400, alarm


def test_failures_count_as_a_share_and_only_when_there_is_traffic(either: StackGraph) -> None:
    alarm = either.one("MetricAlarm", "failed-requests")
    assert expression(alarm) == "IF(FILL(m0, 0) >= 20, 100 * (FILL(m1, 0) + FILL(m2, 0)) / m0, 0)"
    assert [m["metricName"] for m in metrics(alarm)] == [
        "RequestCount",
        "HTTPCode_Target_5XX_Count",
        "HTTPCode_ELB_5XX_Count",
    ]
    balancer = either.one("LoadBalancer").get("arnSuffix")
    assert all(m["dimensions"] == {"LoadBalancer": balancer} for m in metrics(alarm))
    assert (alarm.get("threshold"), alarm.get("comparisonOperator")) == (5, "GreaterThanThreshold")


def test_silence_sets_off_only_the_alarm_that_silence_is_the_sign_of(either: StackGraph) -> None:
    breaching = {a.name for a in either.all("MetricAlarm") if a.get("treatMissingData") != "notBreaching"}
    assert breaching == {"no-healthy-task"}


def test_slowness_is_what_the_config_says() -> None:
    alarm = stack_graph("staging", slow_answer_s="25").one("MetricAlarm", "slow-answers")
    assert alarm.get("threshold") == 25
    [metric] = metrics(alarm)
    assert (metric["metricName"], metric["stat"]) == ("TargetResponseTime", "p99")


@pytest.mark.parametrize("name", ["cache-memory", "cache-evictions", "cache-cpu", "cache-failover"])
def test_every_node_of_the_cache_is_watched(name: str, production: StackGraph) -> None:
    group = production.one("ReplicationGroup")
    nodes = {m["dimensions"]["CacheClusterId"] for m in metrics(production.one("MetricAlarm", name))}
    assert nodes == {f"{group.get('replicationGroupId')}-00{number}" for number in (1, 2, 3)}


def test_a_failover_is_a_change_of_a_nodes_role(production: StackGraph) -> None:
    alarm = production.one("MetricAlarm", "cache-failover")
    assert expression(alarm) == "ABS(DIFF(m0)) + ABS(DIFF(m1)) + ABS(DIFF(m2))"
    assert {m["metricName"] for m in metrics(alarm)} == {"IsMaster"}


def test_every_nat_gateway_is_watched(production: StackGraph) -> None:
    watched = {m["dimensions"]["NatGatewayId"] for m in metrics(production.one("MetricAlarm", "nat-ports"))}
    assert watched == {gateway.get("id") for gateway in production.all("NatGateway")}


def test_tasks_that_end_by_themselves_are_kept_and_counted(either: StackGraph) -> None:
    group = either.one("LogGroup", "logs-stopped-tasks")
    rule = either.one("EventRule")
    event = json.loads(rule.get("eventPattern"))
    assert event["detail"] == {"clusterArn": [either.one("Cluster").get("arn")], "lastStatus": ["STOPPED"]}
    target = either.one("EventTarget")
    assert (target.get("rule"), target.get("arn")) == (rule.get("name"), group.get("arn"))
    counted = either.one("LogMetricFilter", "stopped-tasks")
    assert counted.get("logGroupName") == group.get("name")
    [metric] = metrics(either.one("MetricAlarm", "task-restarts"))
    made = counted.get("metricTransformation")
    assert (metric["namespace"], metric["metricName"]) == (made["namespace"], made["name"])
    assert made["name"] == either.outputs["cluster_name"], "two stacks of an account would count together"


def test_tasks_that_were_asked_to_end_do_not_count() -> None:
    assert pattern() == (
        '{ $.detail.stopCode = "EssentialContainerExited" || $.detail.stopCode = "TaskFailedToStart" }'
    )


def test_only_the_stacks_rule_may_write_to_the_log_group(either: StackGraph) -> None:
    streams, events = json.loads(either.one("LogResourcePolicy").get("policyDocument"))["Statement"]
    group = either.one("LogGroup", "logs-stopped-tasks").get("arn")
    assert (events["Action"], events["Resource"]) == ("logs:PutLogEvents", f"{group}:*:*")
    assert events["Condition"] == {"ArnEquals": {"aws:SourceArn": either.one("EventRule").get("arn")}}
    # EventBridge makes a stream before it has a rule's event to put into it.
    assert (streams["Action"], streams["Resource"]) == ("logs:CreateLogStream", f"{group}:*")
    assert "Condition" not in streams
    for statement in (streams, events):
        assert statement["Principal"] == {"Service": ["delivery.logs.amazonaws.com", "events.amazonaws.com"]}
    assert either.one("LogResourcePolicy").urn in either.one("EventTarget").depends_on


def test_alarms_wait_for_what_lets_them_publish_and_the_service_for_its_alarms(either: StackGraph) -> None:
    for alarm in either.all("MetricAlarm"):
        assert either.one("TopicPolicy").urn in either.waits_for(alarm.urn)
    service = either.one("Service").urn
    assert service in either.waits_for(either.one("MetricAlarm", "no-healthy-task").urn)
    before = either.waits_for(service)
    assert {a.name for a in either.all("MetricAlarm") if a.urn in before} == {
        "failed-requests",
        "slow-answers",
    }


def test_openais_refusals_are_counted_in_the_gateways_own_log(either: StackGraph) -> None:
    counted = either.one("LogMetricFilter", "upstream-throttles")
    assert counted.get("logGroupName") == either.outputs["log_group_name"]
    [metric] = metrics(either.one("MetricAlarm", "upstream-throttles"))
    written = counted.get("metricTransformation")
    assert (metric["namespace"], metric["metricName"]) == (written["namespace"], written["name"])
    # What the gateway writes is what is looked for.
    line = json.loads(RequestRecord("r", "POST", "/v1/chat/completions").line())
    assert set(re.findall(r"\$\.(\w+)", PATTERN)) <= set(line)
    assert line["event"] == "request"
