"""SQS on local AWS: what the handlers make is what an API caller finds; S3 tells a queue of objects."""

import json
from urllib.parse import quote_plus

from app.knowledge import namespaces
from local.aws.client import LocalAws
from local.provider.registry import Created, ResourceRequest, resource_handler
from tests.servers import until


def create(aws: LocalAws, token: str, name: str, **inputs: object) -> Created:
    return resource_handler(token)(ResourceRequest(aws, token, name, inputs, {"stack": "test"}))


def test_a_queue_keeps_key_redrive_policy_and_tags(aws: LocalAws, unique: str) -> None:
    key = aws.call("kms", "create_key")["KeyMetadata"]["Arn"]
    aside = create(aws, "aws:sqs/queue:Queue", f"{unique}-aside")
    redrive = {"deadLetterTargetArn": aside.outputs["arn"], "maxReceiveCount": 3}
    queue = create(
        aws, "aws:sqs/queue:Queue", unique,
        kmsMasterKeyId=key, redrivePolicy=json.dumps(redrive), visibilityTimeoutSeconds=7.0,
    )  # fmt: skip
    statement = {"Sid": "S", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                 "Action": "sqs:SendMessage", "Resource": queue.outputs["arn"]}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    create(aws, "aws:sqs/queuePolicy:QueuePolicy", unique, queueUrl=queue.id, policy=policy)
    found = aws.call("sqs", "get_queue_attributes", QueueUrl=queue.id, AttributeNames=["All"])["Attributes"]
    assert (found["KmsMasterKeyId"], found["VisibilityTimeout"]) == (key, "7")
    assert json.loads(found["RedrivePolicy"]) == redrive
    assert json.loads(found["Policy"])["Statement"] == [statement]
    assert aws.call("sqs", "list_queue_tags", QueueUrl=queue.id)["Tags"] == {"stack": "test"}


def test_a_bucket_tells_a_queue_of_the_objects_below_a_prefix(aws: LocalAws, unique: str) -> None:
    queue = create(aws, "aws:sqs/queue:Queue", unique)
    bucket = create(aws, "aws:s3/bucket:Bucket", unique).id
    create(
        aws, "aws:s3/bucketNotification:BucketNotification", unique,
        bucket=bucket,
        queues=[
            {
                "queueArn": queue.outputs["arn"],
                "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
                "filterPrefix": "knowledge/",
            }
        ],
    )  # fmt: skip
    told: list[str] = []

    def next_notice() -> list[str]:
        messages = aws.call("sqs", "receive_message", QueueUrl=queue.id, MaxNumberOfMessages=10)
        for message in messages.get("Messages", []):
            value = json.loads(message["Body"])
            namespaces(message["Body"])
            told.extend(record["s3"]["object"]["key"] for record in value.get("Records", []))
            aws.call("sqs", "delete_message", QueueUrl=queue.id, ReceiptHandle=message["ReceiptHandle"])
        return told

    key = "knowledge/proj_1/docs/a file.txt"
    for name in ("records/one", key):
        aws.call("s3", "put_object", Bucket=bucket, Key=name, Body=b"x")
    until(next_notice)
    aws.call("s3", "delete_object", Bucket=bucket, Key=key)
    until(lambda: len(next_notice()) == 2)
    assert told == [quote_plus(key, safe="")] * 2
