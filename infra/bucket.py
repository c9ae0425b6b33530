"""What every bucket of the stack has beside its name: no public access, encryption, versions, TLS, an end."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
from pulumi_aws.s3 import BucketLifecycleConfigurationRuleArgsDict as LifecycleRule

from infra.iam import Statement, document

SUPERSEDED_DAYS = 30


def private_bucket(
    name: str,
    parent: pulumi.Resource,
    *,
    key_arn: pulumi.Input[str] | None,
    rules: Sequence[LifecycleRule],
    allowed: Sequence[Statement] = (),
    deletion_protection: bool,
) -> tuple[aws.s3.Bucket, aws.s3.BucketPolicy]:
    """A bucket of `parent` with all of its settings, and the policy that its writers wait for.

    key_arn: None encrypts with S3's own keys. rules: when objects end; superseded versions always do.
    allowed: statements beside the one that refuses plain HTTP; they name the bucket by `{arn}`.
    """
    child = pulumi.ResourceOptions(parent=parent)
    bucket = aws.s3.Bucket(
        name,
        force_destroy=not deletion_protection,
        opts=pulumi.ResourceOptions(parent=parent, protect=deletion_protection),
    )
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
    _encrypt(name, bucket, key_arn, child)
    versioning = aws.s3.BucketVersioning(
        name, bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}, opts=child
    )
    superseded: LifecycleRule = {
        "id": "superseded",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "noncurrent_version_expiration": {"noncurrent_days": SUPERSEDED_DAYS},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
    }
    aws.s3.BucketLifecycleConfiguration(
        name,
        bucket=bucket.bucket,
        rules=[*rules, superseded],
        # S3 refuses rules about superseded versions while it does not yet keep versions.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
    )
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = aws.s3.BucketPolicy(
        name,
        bucket=bucket.bucket,
        policy=document(tls_only, *(_of(bucket, statement) for statement in allowed)),
        # S3 answers "conflicting operation" when both are set at once.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[block]),
    )
    return bucket, policy


def _encrypt(
    name: str, bucket: aws.s3.Bucket, key_arn: pulumi.Input[str] | None, opts: pulumi.ResourceOptions
) -> None:
    default: aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgsDict = (
        {"sse_algorithm": "AES256"}
        if key_arn is None
        else {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn}
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.bucket,
        # One data key a bucket instead of one an object: a hundredth of the calls to KMS.
        rules=[
            {
                "apply_server_side_encryption_by_default": default,
                "bucket_key_enabled": key_arn is not None,
            }
        ],
        opts=opts,
    )


def _of(bucket: aws.s3.Bucket, statement: Statement) -> Statement:
    """The statement with its resource's `{arn}` filled in, which is known only when the bucket is."""
    return {**statement, "Resource": pulumi.Output.format(statement["Resource"], arn=bucket.arn)}
