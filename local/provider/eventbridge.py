"""EventBridge rules and what their events are sent to. moto fires none for ECS's tasks."""

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:cloudwatch/eventRule:EventRule")
def event_rule(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=64)
    arn = request.call(
        "events", "put_rule",
        Name=name, Description=request.get("description"), EventPattern=request.get("eventPattern"),
        ScheduleExpression=request.get("scheduleExpression"), State=request.get("state"),
        Tags=request.tag_list(),
    )["RuleArn"]  # fmt: skip
    return Created(name, {"name": name, "arn": arn})


@resource("aws:cloudwatch/eventTarget:EventTarget")
def event_target(request: ResourceRequest) -> Created:
    target = request.physical_name("targetId", longest=64)
    answer = request.call(
        "events", "put_targets", Rule=request["rule"], Targets=[{"Id": target, "Arn": request["arn"]}]
    )
    if answer["FailedEntries"]:
        raise ValueError(f"event target {request.name}: {answer['FailedEntries'][0]['ErrorMessage']}")
    return Created(f"{request['rule']}-{target}", {"targetId": target})
