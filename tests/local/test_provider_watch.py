"""Alarms, events and saved queries on local AWS: what the handlers make is what an API caller finds."""

import json
from typing import Any

import pytest

from local.aws.client import LocalAws
from local.components import StartError
from local.provider.registry import Created, InvokeRequest, ResourceRequest, invoke_handler, resource_handler
from local.verification import verify_deployment


def create(aws: LocalAws, token: str, logical: str, /, **inputs: Any) -> Created:
    return resource_handler(token)(ResourceRequest(aws, token, logical, inputs, {"stack": "test"}))


def test_an_alarm_keeps_its_expression_and_whom_it_tells(aws: LocalAws, unique: str) -> None:
    topic = aws.call("sns", "create_topic", Name=unique)["TopicArn"]
    metric = {
        "namespace": "AWS/X", "metricName": "M", "dimensions": {"D": "v"}, "period": 60, "stat": "p99",
    }  # fmt: skip
    create(
        aws, "aws:cloudwatch/metricAlarm:MetricAlarm", "logical", name=unique, alarmDescription="Look there.",
        metricQueries=[
            {"id": "m0", "metric": metric, "returnData": False},
            {"id": "watched", "expression": "m0 * 2", "label": "Twice", "returnData": True},
        ],
        comparisonOperator="GreaterThanThreshold", threshold=5.0, evaluationPeriods=3, datapointsToAlarm=2,
        treatMissingData="notBreaching", actionsEnabled=True, alarmActions=[topic], okActions=[topic],
    )  # fmt: skip
    [alarm] = aws.call("cloudwatch", "describe_alarms", AlarmNames=[unique])["MetricAlarms"]
    assert (alarm["AlarmActions"], alarm["OKActions"]) == ([topic], [topic])
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (5.0, 3, 2)
    assert alarm["TreatMissingData"] == "notBreaching"
    first, second = alarm["Metrics"]
    assert first["MetricStat"]["Stat"] == "p99"
    assert first["MetricStat"]["Metric"]["Dimensions"] == [{"Name": "D", "Value": "v"}]
    assert (second["Expression"], second["ReturnData"]) == ("m0 * 2", True)


def test_events_go_to_a_log_group_that_counts_them(aws: LocalAws, unique: str) -> None:
    group = create(aws, "aws:cloudwatch/logGroup:LogGroup", "logical", name=f"/aws/events/{unique}")
    event = json.dumps({"source": ["aws.ecs"]})
    rule = create(aws, "aws:cloudwatch/eventRule:EventRule", unique, eventPattern=event)
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    create(
        aws, "aws:cloudwatch/logResourcePolicy:LogResourcePolicy", "logical", policyName=unique,
        policyDocument=document,
    )  # fmt: skip
    create(
        aws, "aws:cloudwatch/eventTarget:EventTarget", unique, rule=rule.outputs["name"],
        arn=group.outputs["arn"],
    )  # fmt: skip
    create(
        aws, "aws:cloudwatch/logMetricFilter:LogMetricFilter", unique, logGroupName=group.outputs["name"],
        pattern='{ $.a = "b" }',
        metricTransformation={"namespace": "N", "name": unique, "value": "1", "unit": "Count"},
    )  # fmt: skip
    assert json.loads(aws.call("events", "describe_rule", Name=rule.id)["EventPattern"]) == json.loads(event)
    [target] = aws.call("events", "list_targets_by_rule", Rule=rule.id)["Targets"]
    assert target["Arn"] == group.outputs["arn"]
    [counted] = aws.call("logs", "describe_metric_filters", logGroupName=group.id)["metricFilters"]
    assert counted["metricTransformations"][0]["metricName"] == unique
    policies = aws.call("logs", "describe_resource_policies")["resourcePolicies"]
    assert unique in {policy["policyName"] for policy in policies}


def test_a_saved_query_can_be_found_and_removed(aws: LocalAws, unique: str) -> None:
    made = create(
        aws, "aws:cloudwatch/queryDefinition:QueryDefinition", "logical", name=f"{unique}/Failed",
        queryString="fields @message", logGroupNames=["/a"],
    )  # fmt: skip
    found = aws.call("logs", "describe_query_definitions", queryDefinitionNamePrefix=unique)
    [saved] = found["queryDefinitions"]
    assert (saved["name"], saved["logGroupNames"]) == (f"{unique}/Failed", ["/a"])
    assert aws.call("logs", "delete_query_definition", queryDefinitionId=made.id)["success"] is True
    found = aws.call("logs", "describe_query_definitions", queryDefinitionNamePrefix=unique)
    assert found["queryDefinitions"] == []


@pytest.fixture
def deployed(aws: LocalAws, unique: str) -> dict[str, str]:
    """The outputs of a stack with a service and two revisions of its task, of which the first runs."""
    cluster = aws.call("ecs", "create_cluster", clusterName=unique)["cluster"]["clusterArn"]
    container = {"name": "c", "image": "i", "memory": 64}
    arns = [
        aws.call("ecs", "register_task_definition", family=unique, containerDefinitions=[container])
        for _ in range(2)
    ]
    first = arns[0]["taskDefinition"]["taskDefinitionArn"]
    aws.call("ecs", "create_service", cluster=cluster, serviceName="s", taskDefinition=first, desiredCount=1)
    return {
        "cluster_name": unique,
        "service_name": "s",
        "task_definition_arn": first,
        "log_group_name": "/g",
        "other": arns[1]["taskDefinition"]["taskDefinitionArn"],
    }


def test_the_service_tells_what_it_runs(aws: LocalAws, deployed: dict[str, str]) -> None:
    asked = {"clusterArn": deployed["cluster_name"], "serviceName": "s"}
    found = invoke_handler("aws:ecs/getService:getService")(InvokeRequest(aws, asked))
    assert found["taskDefinition"] == deployed["task_definition_arn"]


def test_a_service_that_runs_something_else_stops_the_local_run(
    aws: LocalAws, deployed: dict[str, str]
) -> None:
    verify_deployment(aws, deployed)
    with pytest.raises(StartError, match="was rolled back"):
        verify_deployment(aws, {**deployed, "task_definition_arn": deployed["other"]})
