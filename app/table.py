"""The gateway's DynamoDB table: what it is asked, and the bound within which it answers or counts as gone."""

import asyncio

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from app.aws import DynamoDB
from app.keys import KeyRecord, key_address, parse_key_item

ANSWER_WITHIN_S = 2.0


class TableUnavailableError(Exception):
    """The table did not answer in time or refused; `reason` is fit for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Table:
    """Reads of the one table; each raises TableUnavailableError, after ANSWER_WITHIN_S at the latest."""

    def __init__(self, client: DynamoDB, name: str) -> None:
        self._client = client
        self._name = name

    async def key_record(self, key_hash: str) -> KeyRecord | None:
        """The record of the key with this hash, None when there is none."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await self._client.get_item(TableName=self._name, Key=key_address(key_hash))
        except ClientError as refused:
            raise TableUnavailableError(refused.response["Error"]["Code"]) from None
        except (BotoCoreError, HttpError, OSError, TimeoutError) as gone:
            raise TableUnavailableError(type(gone).__name__) from None
        item = answer.get("Item")
        if item is None:
            return None
        try:
            return parse_key_item(item)
        except (KeyError, ValueError):
            raise TableUnavailableError("the key's record is damaged") from None

    async def check(self) -> None:
        """Reads an item that does not exist: connection, credentials and the table's existence."""
        await self.key_record("readiness")
