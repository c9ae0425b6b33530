"""The AWS clients of the gateway, with short bounds: no request waits on a service that does not answer.

The endpoint, credentials and trust store are botocore's usual ones (AWS_ENDPOINT_URL, the task role,
AWS_CA_BUNDLE).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from app.transactions import TransactionWriter

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 1.0
ATTEMPTS = 2
MAX_CONNECTIONS = 50

LONGEST_POLL_S = 25.0
"""Above what SQS lets a call wait for messages."""

_POLLING = AioConfig(read_timeout=LONGEST_POLL_S, retries={"total_max_attempts": 1})


class DynamoDB(Protocol):
    """The part of the DynamoDB client that the gateway uses."""

    async def get_item(self, **request: Any) -> dict[str, Any]: ...
    async def query(self, **request: Any) -> dict[str, Any]: ...
    async def put_item(self, **request: Any) -> dict[str, Any]: ...
    async def update_item(self, **request: Any) -> dict[str, Any]: ...
    async def batch_get_item(self, **request: Any) -> dict[str, Any]: ...
    async def transact_write_items(self, **request: Any) -> dict[str, Any]: ...


class SecretsManager(Protocol):
    """The part of the Secrets Manager client that the gateway uses."""

    async def get_secret_value(self, **request: Any) -> dict[str, Any]: ...


class Sns(Protocol):
    """The part of the SNS client that the gateway uses."""

    async def publish(self, **request: Any) -> dict[str, Any]: ...


class Sqs(Protocol):
    """The part of the SQS client that the gateway uses."""

    async def receive_message(self, **request: Any) -> dict[str, Any]: ...
    async def delete_message(self, **request: Any) -> dict[str, Any]: ...


@asynccontextmanager
async def open_clients(region: str) -> AsyncIterator[tuple[DynamoDB, SecretsManager, Sns, Sqs]]:
    """The clients, open for as long as the block runs."""
    config = AioConfig(
        region_name=region,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=MAX_CONNECTIONS,
        tcp_keepalive=True,
    )
    session = get_session()
    async with (
        session.create_client("dynamodb", config=config) as dynamodb,
        session.create_client("secretsmanager", config=config) as secretsmanager,
        session.create_client("sns", config=config) as sns,
        session.create_client("sqs", config=config.merge(_POLLING)) as sqs,
    ):
        dynamodb.transact_write_items = TransactionWriter(session, dynamodb)
        yield dynamodb, secretsmanager, sns, sqs
