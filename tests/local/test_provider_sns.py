"""SNS on local AWS: what the handlers make is what an API caller finds."""

import json

from local.aws.client import LocalAws
from local.provider.registry import ResourceRequest, resource_handler


def create(aws: LocalAws, token: str, name: str, **inputs: object) -> str:
    return resource_handler(token)(ResourceRequest(aws, token, name, inputs, {"stack": "test"})).id


def test_a_topic_keeps_key_policy_tags_and_subscription(aws: LocalAws, unique: str) -> None:
    key = aws.call("kms", "create_key")["KeyMetadata"]["Arn"]
    topic = create(aws, "aws:sns/topic:Topic", unique, kmsMasterKeyId=key)
    statement = {
        "Sid": "S", "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish", "Resource": topic,
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    create(aws, "aws:sns/topicPolicy:TopicPolicy", unique, arn=topic, policy=policy)
    email = {"topic": topic, "protocol": "email", "endpoint": "a@example.com"}
    create(aws, "aws:sns/topicSubscription:TopicSubscription", unique, **email)

    attributes = aws.call("sns", "get_topic_attributes", TopicArn=topic)["Attributes"]
    assert attributes["KmsMasterKeyId"] == key
    assert json.loads(attributes["Policy"])["Statement"] == [statement]
    assert aws.call("sns", "list_tags_for_resource", ResourceArn=topic)["Tags"] == [
        {"Key": "stack", "Value": "test"}
    ]
    [found] = aws.call("sns", "list_subscriptions_by_topic", TopicArn=topic)["Subscriptions"]
    assert (found["Protocol"], found["Endpoint"]) == ("email", "a@example.com")
