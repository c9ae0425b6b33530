"""The stand-in with no files and batches of earlier tests."""

from collections.abc import Iterator

import pytest

from app.batches.open_batch import PARTITION
from tests.app.conftest import TABLE, Aws, StandIn


@pytest.fixture(autouse=True)
def _none_stays_open(aws: Aws) -> Iterator[None]:
    """Gateways ask the upstream about every open batch, and other tests count what it is asked."""
    yield
    client = aws.client("dynamodb")
    found = client.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": PARTITION}},
        ConsistentRead=True,
    )
    for item in found["Items"]:
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})


@pytest.fixture
def stand_in(stand_in: StandIn) -> StandIn:
    stand_in.control("DELETE", "/batches")
    return stand_in


@pytest.fixture
def held(stand_in: StandIn) -> StandIn:
    """Batches stay in progress until they are let go."""
    stand_in.control("PUT", "/batches", {"held": True})
    return stand_in
