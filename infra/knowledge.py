"""How new knowledge reaches the gateway: the bucket tells a queue, which the tasks read."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import Statement, document

PREFIX = "knowledge/"
"""Objects below it are `knowledge/<project>/<namespace>/…`; see `app/knowledge.py`."""

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")

VISIBILITY_S = 30
"""A task has done with a message in a fraction of a second; one that was killed is made up for after this."""

TRIES = 50
"""A task that cannot do its work pauses up to half a minute between tries, so this lasts for an outage."""

KEPT_S = 14 * 24 * 3600
"""As long as SQS keeps anything."""


@dataclass(frozen=True)
class KnowledgeArgs:
    """The bucket whose objects below PREFIX are knowledge."""

    account_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    bucket_name: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]


class Knowledge(pulumi.ComponentResource):
    """A queue of notices that only this bucket writes to, and the dead letters of those nobody could read."""

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dead_letters_name: pulumi.Output[str]

    def __init__(self, name: str, args: KnowledgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Knowledge", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        dead_letters = aws.sqs.Queue(
            f"{name}-dead-letters",
            kms_master_key_id=args.key_arn,
            message_retention_seconds=KEPT_S,
            opts=child,
        )
        queue = aws.sqs.Queue(
            name,
            kms_master_key_id=args.key_arn,
            message_retention_seconds=KEPT_S,
            visibility_timeout_seconds=VISIBILITY_S,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": TRIES}, sort_keys=True
            ),
            opts=child,
        )
        bucket: Statement = {
            "Sid": "NoticesOfTheBucket",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": {
                "ArnEquals": {"aws:SourceArn": args.bucket_arn},
                "StringEquals": {"aws:SourceAccount": args.account_id},
            },
        }
        policy = aws.sqs.QueuePolicy(
            name, queue_url=queue.url, policy=document(bucket, _tls_only(queue.arn)), opts=child
        )
        aws.sqs.QueuePolicy(
            f"{name}-dead-letters",
            queue_url=dead_letters.url,
            policy=document(_tls_only(dead_letters.arn)),
            opts=child,
        )
        aws.s3.BucketNotification(
            name,
            bucket=args.bucket_name,
            queues=[{"queue_arn": queue.arn, "events": list(EVENTS), "filter_prefix": PREFIX}],
            # S3 tries at once whether it may write.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.queue_url = queue.url
        self.queue_arn = queue.arn
        self.dead_letters_name = dead_letters.name
        self.register_outputs({"queue_url": self.queue_url})


def _tls_only(queue_arn: pulumi.Input[str]) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": queue_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
