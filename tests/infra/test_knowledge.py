"""New knowledge is told to a queue that the tasks read, and to nobody else."""

import json

from app.knowledge import PREFIX
from tests.infra.graph import ACCOUNT, StackGraph


def test_the_bucket_tells_the_queue_of_objects_that_are_knowledge(either: StackGraph) -> None:
    notification = either.one("BucketNotification")
    assert notification.get("bucket") == either.one("Bucket", "data").get("bucket")
    [queue] = notification.get("queues")
    assert queue["queueArn"] == either.one("Queue", "knowledge").get("arn")
    assert queue["filterPrefix"] == PREFIX
    assert queue["events"] == ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    # S3 tries at once whether it may write.
    assert either.one("QueuePolicy", "knowledge").urn in notification.depends_on


def test_only_the_bucket_writes_to_the_queue_and_only_over_tls(either: StackGraph) -> None:
    attached = either.one("QueuePolicy", "knowledge")
    queue = either.one("Queue", "knowledge")
    assert attached.get("queueUrl") == queue.get("url")
    allowed, denied = json.loads(attached.get("policy"))["Statement"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert allowed["Condition"] == {
        "ArnEquals": {"aws:SourceArn": either.one("Bucket", "data").get("arn")},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "sqs:*")
    assert allowed["Resource"] == denied["Resource"] == queue.get("arn")


def test_what_nobody_can_read_is_put_aside_and_people_are_told(either: StackGraph) -> None:
    aside = either.one("Queue", "knowledge-dead-letters")
    redrive = json.loads(either.one("Queue", "knowledge").get("redrivePolicy"))
    assert redrive["deadLetterTargetArn"] == aside.get("arn")
    alarm = either.one("MetricAlarm", "knowledge-not-taken")
    [query] = alarm.get("metricQueries")
    assert query["metric"]["dimensions"] == {"QueueName": aside.get("name")}
    assert alarm.get("threshold") == 0


def test_s3_may_use_the_key_for_its_notices_of_this_account(either: StackGraph) -> None:
    statements = json.loads(either.one("Key").get("policy"))["Statement"]
    [notices] = [s for s in statements if s["Principal"] == {"Service": "s3.amazonaws.com"}]
    assert notices["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert notices["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
