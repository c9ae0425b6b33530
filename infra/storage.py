"""What must last: one DynamoDB table and one bucket."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.bucket import private_bucket

RECORDS_PREFIX = "records/"


@dataclass(frozen=True)
class StorageArgs:
    """records_days: how long request records are kept."""

    key_arn: pulumi.Input[str]
    records_days: int
    deletion_protection: bool


class Storage(pulumi.ComponentResource):
    """The gateway's table (organization, keys, limits, usage) and its data bucket (records, datasets)."""

    table_name: pulumi.Output[str]
    table_arn: pulumi.Output[str]
    bucket_name: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway:infra:Storage", name, None, opts)
        table = aws.dynamodb.Table(
            "gateway",
            billing_mode="PAY_PER_REQUEST",
            hash_key="pk",
            range_key="sk",
            attributes=[{"name": name, "type": "S"} for name in ("gsi1pk", "gsi1sk", "pk", "sk")],
            global_secondary_indexes=[
                {"name": "gsi1", "hash_key": "gsi1pk", "range_key": "gsi1sk", "projection_type": "ALL"}
            ],
            ttl={"attribute_name": "expires_at", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": args.key_arn},
            deletion_protection_enabled=args.deletion_protection,
            opts=pulumi.ResourceOptions(parent=self, protect=args.deletion_protection),
        )
        bucket, _ = private_bucket(
            "data",
            self,
            key_arn=args.key_arn,
            rules=[
                {
                    "id": "records",
                    "status": "Enabled",
                    "filter": {"prefix": RECORDS_PREFIX},
                    "expiration": {"days": args.records_days},
                }
            ],
            deletion_protection=args.deletion_protection,
        )
        self.table_name = table.name
        self.table_arn = table.arn
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.register_outputs({"table_name": self.table_name, "bucket_name": self.bucket_name})
