"""SQS queues and who may use them."""

from local.provider.registry import Created, ResourceRequest, resource

ATTRIBUTES = {
    "kmsMasterKeyId": "KmsMasterKeyId",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "redrivePolicy": "RedrivePolicy",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}


@resource("aws:sqs/queue:Queue")
def queue(request: ResourceRequest) -> Created:
    name = request.physical_name(longest=80)
    attributes = {
        theirs: _text(value)
        for ours, theirs in ATTRIBUTES.items()
        if (value := request.get(ours)) is not None
    }
    url = request.call("sqs", "create_queue", QueueName=name, Attributes=attributes, tags=request.tags)[
        "QueueUrl"
    ]
    found = request.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return Created(url, {"name": name, "url": url, "arn": found["Attributes"]["QueueArn"]})


@resource("aws:sqs/queuePolicy:QueuePolicy")
def queue_policy(request: ResourceRequest) -> Created:
    url = str(request["queueUrl"])
    request.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": request["policy"]})
    return Created(url)


def _text(value: object) -> str:
    """Attributes are texts; a whole number comes over the wire as a float."""
    return str(int(value)) if isinstance(value, float) else str(value)
