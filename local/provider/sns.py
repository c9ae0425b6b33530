"""SNS topics, who may publish to them, and who is told."""

from local.provider.registry import Created, ResourceRequest, resource

ATTRIBUTES = {"kmsMasterKeyId": "KmsMasterKeyId", "displayName": "DisplayName"}


@resource("aws:sns/topic:Topic")
def topic(request: ResourceRequest) -> Created:
    name = request.physical_name()
    attributes = {theirs: str(request.get(ours)) for ours, theirs in ATTRIBUTES.items() if request.get(ours)}
    arn = request.call(
        "sns", "create_topic", Name=name, Attributes=attributes, Tags=request.tag_list()
    )["TopicArn"]  # fmt: skip
    return Created(arn, {"name": name, "arn": arn})


@resource("aws:sns/topicPolicy:TopicPolicy")
def topic_policy(request: ResourceRequest) -> Created:
    request.call(
        "sns", "set_topic_attributes",
        TopicArn=request["arn"], AttributeName="Policy", AttributeValue=request["policy"],
    )  # fmt: skip
    return Created(request["arn"])


@resource("aws:sns/topicSubscription:TopicSubscription")
def topic_subscription(request: ResourceRequest) -> Created:
    arn = request.call(
        "sns", "subscribe",
        TopicArn=request["topic"], Protocol=request["protocol"], Endpoint=request["endpoint"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]  # fmt: skip
    return Created(arn, {"arn": arn})
