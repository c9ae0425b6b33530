"""The gateway's table as the stack has it, for tests that deploy no stack."""

from typing import Any


def create_table(dynamodb: Any, name: str) -> None:
    """dynamodb: a boto3 client."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    of_index = {"gsi1pk": "HASH", "gsi1sk": "RANGE"}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in (*keys, *of_index)],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "gsi1",
                "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in of_index.items()],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
