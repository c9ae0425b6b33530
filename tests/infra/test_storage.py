"""The table and the data bucket."""

import json

from tests.infra.graph import StackGraph


def test_the_table_has_the_keys_the_gateway_uses(either: StackGraph) -> None:
    table = either.one("Table")
    assert (table.get("hashKey"), table.get("rangeKey")) == ("pk", "sk")
    [index] = table.get("globalSecondaryIndexes")
    assert index == {"name": "gsi1", "hashKey": "gsi1pk", "rangeKey": "gsi1sk", "projectionType": "ALL"}
    assert {a["name"]: a["type"] for a in table.get("attributes")} == dict.fromkeys(
        ("pk", "sk", "gsi1pk", "gsi1sk"), "S"
    )
    assert table.get("ttl") == {"attributeName": "expires_at", "enabled": True}
    assert table.get("billingMode") == "PAY_PER_REQUEST"


def test_only_production_keeps_table_and_bucket_from_deletion(
    staging: StackGraph, production: StackGraph
) -> None:
    assert staging.one("Table").get("deletionProtectionEnabled") is False
    assert staging.one("Bucket", "data").get("forceDestroy") is True
    assert not staging.one("Table").protect
    assert production.one("Table").protect
    assert production.one("Bucket", "data").protect


def test_records_expire_with_the_logs_and_superseded_versions_after_a_month(
    staging: StackGraph, production: StackGraph
) -> None:
    for graph, days in ((staging, 30), (production, 365)):
        rules = {rule["id"]: rule for rule in graph.one("BucketLifecycleConfiguration", "data").get("rules")}
        assert rules["records"]["expiration"] == {"days": days}
        assert rules["records"]["filter"] == {"prefix": "records/"}
        assert rules["superseded"]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
        assert all(rule["status"] == "Enabled" for rule in rules.values())


def test_every_setting_of_the_bucket_is_on_the_bucket(either: StackGraph) -> None:
    name = either.one("Bucket", "data").get("bucket")
    settings = [
        r
        for r in either.resources
        if r.custom and ":s3/bucket" in r.type and r.type != "aws:s3/bucket:Bucket" and r.name == "data"
    ]
    assert len(settings) == 6
    assert {r.get("bucket") for r in settings} == {name}


def test_plain_http_is_refused_for_the_bucket_and_its_objects(either: StackGraph) -> None:
    arn = either.one("Bucket", "data").get("arn")
    [statement] = json.loads(either.one("BucketPolicy", "data").get("policy"))["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [arn, f"{arn}/*"]


def test_s3_settings_that_collide_come_one_after_the_other(either: StackGraph) -> None:
    assert either.one("BucketPublicAccessBlock", "data").urn in either.one("BucketPolicy", "data").depends_on
    assert (
        either.one("BucketVersioning", "data").urn
        in either.one("BucketLifecycleConfiguration", "data").depends_on
    )
