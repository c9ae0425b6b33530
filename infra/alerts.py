"""The alert topic: where alarms, the budget and the gateway's spend thresholds reach people."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import document

PUBLISHERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com")
"""The services that publish by themselves. The gateway publishes with its task role."""


@dataclass(frozen=True)
class AlertsArgs:
    """emails: who gets every alert; each must confirm the subscription by the link AWS mails."""

    account_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    emails: Sequence[str]


class Alerts(pulumi.ComponentResource):
    """An SNS topic encrypted with the stack's key, whose policy lets only AWS's own services publish.

    policies: an alarm made before the topic's policy could not tell anybody, so alarms wait for these.
    """

    topic_arn: pulumi.Output[str]
    policies: list[pulumi.Resource]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Alerts", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(name, kms_master_key_id=args.key_arn, opts=child)
        policy = aws.sns.TopicPolicy(
            name, arn=topic.arn, policy=_topic_policy(topic.arn, args.account_id), opts=child
        )
        for number, email in enumerate(args.emails):
            aws.sns.TopicSubscription(
                f"{name}-{number}", topic=topic.arn, protocol="email", endpoint=email, opts=child
            )
        self.topic_arn = topic.arn
        self.policies = [policy]
        self.register_outputs({"topic_arn": self.topic_arn})


def _topic_policy(topic_arn: pulumi.Input[str], account_id: pulumi.Input[str]) -> pulumi.Output[str]:
    return document(
        {
            "Sid": "ServicesOfThisAccount",
            "Effect": "Allow",
            "Principal": {"Service": list(PUBLISHERS)},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        },
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
