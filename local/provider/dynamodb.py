"""DynamoDB tables."""

from typing import Any

from local.provider.registry import Created, ResourceRequest, resource


@resource("aws:dynamodb/table:Table")
def table(request: ResourceRequest) -> Created:
    name = request.physical_name()
    attributes = [
        {"AttributeName": attribute["name"], "AttributeType": attribute["type"]}
        for attribute in request["attributes"]
    ]
    indexes = [
        {
            "IndexName": index["name"],
            "KeySchema": _index_keys(index),
            "Projection": {"ProjectionType": index["projectionType"]}
            | ({"NonKeyAttributes": index["nonKeyAttributes"]} if index.get("nonKeyAttributes") else {}),
        }
        for index in request.get("globalSecondaryIndexes", [])
    ]
    encryption = request.get("serverSideEncryption")
    created = request.call(
        "dynamodb", "create_table",
        TableName=name, AttributeDefinitions=attributes,
        KeySchema=_keys(request["hashKey"], request.get("rangeKey")),
        BillingMode=request.get("billingMode"), GlobalSecondaryIndexes=indexes or None,
        SSESpecification=encryption and _encryption(encryption),
        DeletionProtectionEnabled=request.get("deletionProtectionEnabled"),
        TableClass=request.get("tableClass"),
        StreamSpecification=_stream(request), Tags=request.tag_list(),
    )["TableDescription"]  # fmt: skip
    _set_expiry_and_recovery(request, name)
    outputs = {"name": name, "arn": created["TableArn"], "streamArn": created.get("LatestStreamArn")}
    return Created(name, outputs)


def _set_expiry_and_recovery(request: ResourceRequest, name: str) -> None:
    if (ttl := request.get("ttl")) and ttl.get("enabled", True):
        expiry = {"Enabled": True, "AttributeName": ttl["attributeName"]}
        request.call("dynamodb", "update_time_to_live", TableName=name, TimeToLiveSpecification=expiry)
    if recovery := request.get("pointInTimeRecovery"):
        specification = {"PointInTimeRecoveryEnabled": recovery["enabled"]}
        request.call(
            "dynamodb", "update_continuous_backups",
            TableName=name, PointInTimeRecoverySpecification=specification,
        )  # fmt: skip


def _keys(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return keys + ([{"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else [])


def _index_keys(index: dict[str, Any]) -> list[dict[str, str]]:
    """An index names its keys by themselves or, newer, as a list."""
    if schemas := index.get("keySchemas"):
        return [{"AttributeName": key["attributeName"], "KeyType": key["keyType"]} for key in schemas]
    return _keys(index["hashKey"], index.get("rangeKey"))


def _encryption(block: dict[str, Any]) -> dict[str, Any]:
    key = {"SSEType": "KMS", "KMSMasterKeyId": block["kmsKeyArn"]} if block.get("kmsKeyArn") else {}
    return {"Enabled": block["enabled"], **key}


def _stream(request: ResourceRequest) -> dict[str, Any] | None:
    if not request.get("streamEnabled"):
        return None
    return {"StreamEnabled": True, "StreamViewType": request["streamViewType"]}
