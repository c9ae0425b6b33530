"""The gateway's DynamoDB table: what it is asked, and the bound within which it answers or counts as gone."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from app.aws import DynamoDB
from app.keys import KeyRecord, key_address, parse_key_item
from app.owners import MODEL, Owners, parse_owners
from app.project_settings import ProjectSettings, parse_settings

ANSWER_WITHIN_S = 2.0


class TableUnavailableError(Exception):
    """The table did not answer in time or refused; `reason` is fit for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def answered(call: Awaitable[dict[str, Any]], within_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
    """What DynamoDB answers. Raises TableUnavailableError, and ClientError for a condition that fails."""
    try:
        async with asyncio.timeout(within_s):
            return await call
    except ClientError as refused:
        code = refused.response["Error"]["Code"]
        if code in ("ConditionalCheckFailedException", "TransactionCanceledException"):
            raise
        raise TableUnavailableError(code) from None
    except (BotoCoreError, HttpError, OSError, TimeoutError) as gone:
        raise TableUnavailableError(type(gone).__name__) from None


class Table:
    """Reads of the one table; each raises TableUnavailableError, after ANSWER_WITHIN_S at the latest."""

    def __init__(self, client: DynamoDB, name: str) -> None:
        self._client = client
        self._name = name

    async def key_record(self, key_hash: str) -> KeyRecord | None:
        """The record of the key with this hash, None when there is none."""
        answer = await answered(self._client.get_item(TableName=self._name, Key=key_address(key_hash)))
        item = answer.get("Item")
        if item is None:
            return None
        try:
            return parse_key_item(item)
        except (KeyError, ValueError):
            raise TableUnavailableError("the key's record is damaged") from None

    async def owners(self, organization_id: str, project_id: str) -> Owners | None:
        """A project and its organization, None when there is no such project."""
        project, organization = await asyncio.gather(
            answered(
                self._client.query(
                    TableName=self._name,
                    KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                    ExpressionAttributeValues={
                        ":pk": {"S": f"PROJECT#{project_id}"},
                        ":first": {"S": "PROJECT"},
                        ":last": {"S": f"{MODEL}\U0010ffff"},
                    },
                )
            ),
            answered(
                self._client.get_item(
                    TableName=self._name, Key={"pk": {"S": f"ORG#{organization_id}"}, "sk": {"S": "ORG"}}
                )
            ),
        )
        try:
            return parse_owners(project["Items"], organization.get("Item"))
        except (KeyError, ValueError):
            raise TableUnavailableError("the record of the project or organization is damaged") from None

    async def project(self, project_id: str) -> tuple[str, ProjectSettings] | None:
        """A project's organization and settings, None when there is no such project."""
        key = {"pk": {"S": f"PROJECT#{project_id}"}, "sk": {"S": "PROJECT"}}
        item = (await answered(self._client.get_item(TableName=self._name, Key=key))).get("Item")
        if item is None:
            return None
        try:
            return item["organization_id"]["S"], parse_settings(item)
        except (KeyError, ValueError):
            raise TableUnavailableError("the project's record is damaged") from None

    async def check(self) -> None:
        """Reads an item that does not exist: connection, credentials and the table's existence."""
        await self.key_record("readiness")
