"""The log bucket: written by the load balancer of this account alone, and forgotten in time."""

import json

from tests.infra.graph import ACCOUNT, StackGraph


def test_the_balancer_logs_into_the_bucket_once_it_may(either: StackGraph) -> None:
    balancer, bucket = either.one("LoadBalancer"), either.one("Bucket", "logs")
    assert balancer.get("accessLogs") == {
        "bucket": bucket.get("bucket"),
        "prefix": "balancer",
        "enabled": True,
    }
    assert either.one("BucketPolicy", "logs").urn in balancer.depends_on


def test_only_balancers_of_this_account_write_there(either: StackGraph) -> None:
    statements = json.loads(either.one("BucketPolicy", "logs").get("policy"))["Statement"]
    [allowed] = [s for s in statements if s["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    arn = either.one("Bucket", "logs").get("arn")
    assert allowed["Resource"] == f"{arn}/balancer/AWSLogs/{ACCOUNT}/*"
    assert allowed["Action"] == "s3:PutObject"
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_lines_are_kept_as_long_as_other_logs(staging: StackGraph, production: StackGraph) -> None:
    for graph, days in ((staging, 30), (production, 365)):
        rules = {r["id"]: r for r in graph.one("BucketLifecycleConfiguration", "logs").get("rules")}
        assert rules["expired"]["expiration"] == {"days": days}
        assert set(rules) == {"expired", "superseded"}


def test_production_keeps_its_access_logs(staging: StackGraph, production: StackGraph) -> None:
    assert production.one("Bucket", "logs").protect
    assert production.one("Bucket", "logs").get("forceDestroy") is False
    assert staging.one("Bucket", "logs").get("forceDestroy") is True
