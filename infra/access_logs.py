"""The log bucket: what the load balancer answered to whom, one line a request, without any content."""

from dataclasses import dataclass

import pulumi

from infra.bucket import private_bucket

PREFIX = "balancer"


@dataclass(frozen=True)
class AccessLogsArgs:
    account_id: pulumi.Input[str]
    kept_days: int
    deletion_protection: bool


class AccessLogs(pulumi.ComponentResource):
    """A bucket that the load balancer of this account writes to and that forgets after `kept_days`.

    policies: the balancer tries the bucket when logging is turned on, so it waits for these.
    """

    bucket_name: pulumi.Output[str]
    policies: list[pulumi.Resource]

    def __init__(self, name: str, args: AccessLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:AccessLogs", name, None, opts)
        bucket, policy = private_bucket(
            "logs",
            self,
            # Access logs can only be encrypted with S3's own keys (ELB user guide, "Access logs", step 1).
            key_arn=None,
            rules=[
                {
                    "id": "expired",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": args.kept_days},
                }
            ],
            allowed=[
                {
                    "Sid": "BalancersOfThisAccount",
                    "Effect": "Allow",
                    "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": pulumi.Output.concat("{arn}/", PREFIX, "/AWSLogs/", args.account_id, "/*"),
                    "Condition": {"StringEquals": {"aws:SourceAccount": args.account_id}},
                }
            ],
            deletion_protection=args.deletion_protection,
        )
        self.bucket_name = bucket.bucket
        self.policies = [policy]
        self.register_outputs({"bucket_name": self.bucket_name})
