"""The settings of an S3 bucket, each a resource of its own."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:s3/bucketVersioning:BucketVersioning")
def versioning(request: ResourceRequest) -> Created:
    status = {"Status": request["versioningConfiguration"]["status"]}
    return _put(request, "put_bucket_versioning", VersioningConfiguration=status)


@resource("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(request: ResourceRequest) -> Created:
    rules = []
    for rule in request["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        applied = {"SSEAlgorithm": default["sseAlgorithm"], "KMSMasterKeyID": default.get("kmsMasterKeyId")}
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": {k: v for k, v in applied.items() if v},
                "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
            }
        )
    return _put(request, "put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": rules})


@resource("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access_block(request: ResourceRequest) -> Created:
    names = ("blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets")
    block = {name[0].upper() + name[1:]: bool(request.get(name)) for name in names}
    return _put(request, "put_public_access_block", PublicAccessBlockConfiguration=block)


@resource("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def ownership_controls(request: ResourceRequest) -> Created:
    rules = [{"ObjectOwnership": request["rule"]["objectOwnership"]}]
    return _put(request, "put_bucket_ownership_controls", OwnershipControls={"Rules": rules})


@resource("aws:s3/bucketPolicy:BucketPolicy")
def policy(request: ResourceRequest) -> Created:
    return _put(request, "put_bucket_policy", Policy=request["policy"])


@resource("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(request: ResourceRequest) -> Created:
    rules = {"Rules": [_lifecycle_rule(rule) for rule in request["rules"]]}
    return _put(request, "put_bucket_lifecycle_configuration", LifecycleConfiguration=rules)


@resource("aws:s3/bucketNotification:BucketNotification")
def notification(request: ResourceRequest) -> Created:
    queues = []
    for queue in request.get("queues", []):
        rules = [
            {"Name": name, "Value": queue[key]}
            for name, key in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
            if queue.get(key)
        ]
        queues.append(
            {
                "QueueArn": queue["queueArn"],
                "Events": queue["events"],
                "Filter": {"Key": {"FilterRules": rules}},
            }
        )
    configuration = {"QueueConfigurations": queues}
    return _put(request, "put_bucket_notification_configuration", NotificationConfiguration=configuration)


def _put(request: ResourceRequest, operation: str, **setting: Any) -> Created:
    request.call("s3", operation, Bucket=request["bucket"], **setting)
    return Created(str(request["bucket"]))


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ID": rule["id"],
        "Status": rule["status"],
        "Filter": {"Prefix": (rule.get("filter") or {}).get("prefix", "")},
    }
    if expiration := rule.get("expiration"):
        made["Expiration"] = _renamed(
            expiration, days="Days", expiredObjectDeleteMarker="ExpiredObjectDeleteMarker"
        )
    if expiration := rule.get("noncurrentVersionExpiration"):
        made["NoncurrentVersionExpiration"] = _renamed(
            expiration, noncurrentDays="NoncurrentDays", newerNoncurrentVersions="NewerNoncurrentVersions"
        )
    if abort := rule.get("abortIncompleteMultipartUpload"):
        made["AbortIncompleteMultipartUpload"] = _renamed(abort, daysAfterInitiation="DaysAfterInitiation")
    if transitions := rule.get("transitions"):
        made["Transitions"] = [_renamed(t, days="Days", storageClass="StorageClass") for t in transitions]
    if transitions := rule.get("noncurrentVersionTransitions"):
        made["NoncurrentVersionTransitions"] = [
            _renamed(t, noncurrentDays="NoncurrentDays", storageClass="StorageClass") for t in transitions
        ]
    return made


def _renamed(block: dict[str, Any], **names: str) -> dict[str, Any]:
    return {name: block[key] for key, name in names.items() if block.get(key) is not None}
