"""KMS keys and their aliases."""

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:kms/key:Key")
def key(request: ResourceRequest) -> Created:
    created = request.call(
        "kms", "create_key",
        Description=request.get("description"), Policy=request.get("policy"),
        MultiRegion=request.get("multiRegion"),
        Tags=request.tag_list("TagKey", "TagValue"),
    )["KeyMetadata"]  # fmt: skip
    if request.get("enableKeyRotation"):
        period = request.get("rotationPeriodInDays")
        request.call("kms", "enable_key_rotation", KeyId=created["KeyId"], RotationPeriodInDays=period)
    return Created(created["KeyId"], {"arn": created["Arn"], "keyId": created["KeyId"]})


@resource("aws:kms/alias:Alias")
def alias(request: ResourceRequest) -> Created:
    name = request.get("name") or f"alias/{request.physical_name()}"
    request.call("kms", "create_alias", AliasName=name, TargetKeyId=request["targetKeyId"])
    found = request.call("kms", "describe_key", KeyId=name)["KeyMetadata"]["Arn"]
    arn = f"{found.split(':key/')[0]}:{name}"
    return Created(name, {"name": name, "arn": arn, "targetKeyArn": found})
