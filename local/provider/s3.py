"""S3 buckets."""

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:s3/bucket:Bucket")
def bucket(request: ResourceRequest) -> Created:
    name, region = request.physical_name("bucket", longest=63), request.aws.region
    elsewhere = {"LocationConstraint": region} if region != "us-east-1" else None
    request.call(
        "s3", "create_bucket",
        Bucket=name, CreateBucketConfiguration=elsewhere,
        ObjectLockEnabledForBucket=request.get("objectLockEnabled"),
    )  # fmt: skip
    if tags := request.tag_list():
        request.call("s3", "put_bucket_tagging", Bucket=name, Tagging={"TagSet": tags})
    outputs = {
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "bucketRegion": region,
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
    }
    return Created(name, outputs)
