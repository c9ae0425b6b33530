"""What must last: one DynamoDB table and one bucket."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.iam import document

RECORDS_PREFIX = "records/"
SUPERSEDED_DAYS = 30


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
        kept = pulumi.ResourceOptions(parent=self, protect=args.deletion_protection)
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
            opts=kept,
        )
        bucket = aws.s3.Bucket("data", force_destroy=not args.deletion_protection, opts=kept)
        self._harden("data", bucket, args)
        self.table_name = table.name
        self.table_arn = table.arn
        self.bucket_name = bucket.bucket
        self.bucket_arn = bucket.arn
        self.register_outputs({"table_name": self.table_name, "bucket_name": self.bucket_name})

    def _harden(self, name: str, bucket: aws.s3.Bucket, args: StorageArgs) -> None:
        child = pulumi.ResourceOptions(parent=self)
        aws.s3.BucketOwnershipControls(
            name, bucket=bucket.bucket, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": args.key_arn,
                    },
                    # One data key a bucket instead of one an object: a hundredth of the calls to KMS.
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=child
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                {
                    "id": "records",
                    "status": "Enabled",
                    "filter": {"prefix": RECORDS_PREFIX},
                    "expiration": {"days": args.records_days},
                },
                {
                    "id": "superseded",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": SUPERSEDED_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                },
            ],
            # S3 refuses rules about superseded versions while it does not yet keep versions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=document(
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ),
            # S3 answers "conflicting operation" when both are set at once.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
