"""Writes to local DynamoDB are isolated from each other, and transactions are all or nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws.client import LocalAws


@pytest.fixture
def table(aws: LocalAws, unique: str) -> str:
    aws.call(
        "dynamodb",
        "create_table",
        TableName=unique,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return unique


def address(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "A"}}


def read(aws: LocalAws, table: str, name: str) -> Any:
    return aws.call("dynamodb", "get_item", TableName=table, Key=address(name)).get("Item")


def add(table: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Key": address("total"),
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }


def put(table: str, name: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "Item": address(name),
        "ConditionExpression": "attribute_not_exists(pk)",
    }


def test_concurrent_additions_are_all_counted(aws: LocalAws, table: str) -> None:
    def write(number: int) -> None:
        if number % 2:
            aws.call("dynamodb", "update_item", **add(table))
        else:
            actions = [{"Put": put(table, f"r{number}")}, {"Update": add(table)}]
            aws.call("dynamodb", "transact_write_items", TransactItems=actions)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(100)))
    assert read(aws, table, "total")["n"]["N"] == "100"


def test_a_transaction_that_fails_changes_nothing(aws: LocalAws, table: str) -> None:
    aws.call("dynamodb", "put_item", TableName=table, Item=address("there"))
    aws.call("dynamodb", "update_item", **add(table))
    actions = [{"Put": put(table, "new")}, {"Update": add(table)}, {"Put": put(table, "there")}]
    with pytest.raises(ClientError) as cancelled:
        aws.call("dynamodb", "transact_write_items", TransactItems=actions)
    reasons: Any = cancelled.value.response.get("CancellationReasons")
    assert [reason["Code"] for reason in reasons] == ["None", "None", "ConditionalCheckFailed"]
    assert read(aws, table, "new") is None
    assert read(aws, table, "there") == address("there")
    assert read(aws, table, "total")["n"]["N"] == "1"


@pytest.mark.parametrize("index", [None, "by-owner"])
def test_a_query_gives_its_partition_in_order_page_by_page(
    aws: LocalAws, unique: str, index: str | None
) -> None:
    partition, sort = ("pk", "sk") if index is None else ("owner", "made")
    aws.call(
        "dynamodb",
        "create_table",
        TableName=unique,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "owner", "made")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [
                    {"AttributeName": "owner", "KeyType": "HASH"},
                    {"AttributeName": "made", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in reversed(range(20)):
        item = {
            "pk": f"p{number % 2}",
            "sk": f"{number:02}",
            "owner": f"p{number % 2}",
            "made": f"{number:02}",
        }
        aws.call(
            "dynamodb", "put_item", TableName=unique, Item={name: {"S": text} for name, text in item.items()}
        )
    aws.call("dynamodb", "put_item", TableName=unique, Item=address("without-an-owner"))
    found: list[str] = []
    start: dict[str, Any] = {} if index is None else {"IndexName": index}
    while True:
        page = aws.call(
            "dynamodb",
            "query",
            TableName=unique,
            KeyConditionExpression="#p = :p AND #s > :s",
            ExpressionAttributeNames={"#p": partition, "#s": sort},
            ExpressionAttributeValues={":p": {"S": "p1"}, ":s": {"S": "03"}},
            Limit=3,
            **start,
        )
        found += [item[sort]["S"] for item in page["Items"]]
        if "LastEvaluatedKey" not in page:
            break
        start["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert found == ["05", "07", "09", "11", "13", "15", "17", "19"]
