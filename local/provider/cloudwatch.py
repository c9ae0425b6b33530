"""CloudWatch: log groups and dashboards."""

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
