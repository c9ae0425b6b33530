"""CloudWatch: log groups, what is counted in them, dashboards and alarms."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:cloudwatch/logGroup:LogGroup")
def log_group(request: ResourceRequest) -> Created:
    name = request.physical_name()
    request.call(
        "logs", "create_log_group",
        logGroupName=name, kmsKeyId=request.get("kmsKeyId"), logGroupClass=request.get("logGroupClass"),
        tags=request.tags or None,
    )  # fmt: skip
    if days := request.get("retentionInDays"):
        request.call("logs", "put_retention_policy", logGroupName=name, retentionInDays=days)
    groups = request.call("logs", "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
    arn = next(group["arn"] for group in groups if group["logGroupName"] == name)
    return Created(name, {"name": name, "arn": arn.removesuffix(":*")})


@resource("aws:cloudwatch/dashboard:Dashboard")
def dashboard(request: ResourceRequest) -> Created:
    name = request["dashboardName"]
    request.call("cloudwatch", "put_dashboard", DashboardName=name, DashboardBody=request["dashboardBody"])
    arn = request.call("cloudwatch", "get_dashboard", DashboardName=name)["DashboardArn"]
    return Created(name, {"dashboardArn": arn})


@resource("aws:cloudwatch/metricAlarm:MetricAlarm")
def metric_alarm(request: ResourceRequest) -> Created:
    name = request.physical_name()
    request.call(
        "cloudwatch", "put_metric_alarm",
        AlarmName=name, AlarmDescription=request.get("alarmDescription"),
        ActionsEnabled=request.get("actionsEnabled"), AlarmActions=request.get("alarmActions"),
        OKActions=request.get("okActions"),
        InsufficientDataActions=request.get("insufficientDataActions"),
        Metrics=[_metric_query(query) for query in request["metricQueries"]],
        ComparisonOperator=request["comparisonOperator"], Threshold=float(request["threshold"]),
        EvaluationPeriods=request["evaluationPeriods"], DatapointsToAlarm=request.get("datapointsToAlarm"),
        TreatMissingData=request.get("treatMissingData"), Tags=request.tag_list(),
    )  # fmt: skip
    found = request.call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"][0]
    return Created(name, {"name": name, "arn": found["AlarmArn"]})


@resource("aws:cloudwatch/logMetricFilter:LogMetricFilter")
def log_metric_filter(request: ResourceRequest) -> Created:
    name = request.physical_name()
    made = request["metricTransformation"]
    transformation = {
        "metricName": made["name"],
        "metricNamespace": made["namespace"],
        "metricValue": made["value"],
        "unit": made.get("unit"),
    }
    request.call(
        "logs", "put_metric_filter",
        logGroupName=request["logGroupName"], filterName=name, filterPattern=request["pattern"],
        metricTransformations=[{key: value for key, value in transformation.items() if value}],
    )  # fmt: skip
    return Created(name, {"name": name})


@resource("aws:cloudwatch/logResourcePolicy:LogResourcePolicy")
def log_resource_policy(request: ResourceRequest) -> Created:
    name = request["policyName"]
    request.call("logs", "put_resource_policy", policyName=name, policyDocument=request["policyDocument"])
    return Created(name)


@resource("aws:cloudwatch/queryDefinition:QueryDefinition")
def query_definition(request: ResourceRequest) -> Created:
    made = request.call(
        "logs", "put_query_definition",
        name=request["name"], queryString=request["queryString"],
        logGroupNames=request.get("logGroupNames"),
    )  # fmt: skip
    return Created(made["queryDefinitionId"], {"queryDefinitionId": made["queryDefinitionId"]})


def _metric_query(block: dict[str, Any]) -> dict[str, Any]:
    query: dict[str, Any] = {"Id": block["id"], "ReturnData": bool(block.get("returnData"))}
    for key, name in (("expression", "Expression"), ("label", "Label")):
        if block.get(key):
            query[name] = block[key]
    if metric := block.get("metric"):
        dimensions = [{"Name": name, "Value": value} for name, value in metric.get("dimensions", {}).items()]
        query["MetricStat"] = {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": dimensions,
            },
            "Period": metric["period"],
            "Stat": metric["stat"],
        }
    return query
