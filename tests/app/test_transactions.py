"""The ledger's transactions beside botocore's own: the same is written, the same is raised."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from app.aws import DynamoDB, open_clients
from app.transactions import TransactionWriter
from tests.app.conftest import REGION, TABLE, Aws


@pytest.fixture
async def dynamodb(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DynamoDB]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    async with open_clients(REGION) as (client, _, _, _):
        yield client


def put(pk: str, **attributes: Any) -> dict[str, Any]:
    item = {"pk": {"S": pk}, "sk": {"S": "TEST"}, **attributes}
    return {"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


async def test_what_is_written_is_read_again(dynamodb: DynamoDB) -> None:
    pk = f"TEST#{uuid.uuid4()}"
    values = {"text": {"S": 'ü "quoted"\n'}, "number": {"N": "12345678901234567890"}, "flag": {"BOOL": True}}
    await dynamodb.transact_write_items(TransactItems=[put(pk, **values)])
    answer = await dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": pk}, "sk": {"S": "TEST"}})
    assert answer["Item"] == {"pk": {"S": pk}, "sk": {"S": "TEST"}, **values}


async def test_a_condition_that_fails_is_told_as_botocore_tells_it(dynamodb: DynamoDB, aws: Aws) -> None:
    taken, free = f"TEST#{uuid.uuid4()}", f"TEST#{uuid.uuid4()}"
    await dynamodb.transact_write_items(TransactItems=[put(taken)])
    request = [put(free), put(taken)]
    with pytest.raises(ClientError) as ours:
        await dynamodb.transact_write_items(TransactItems=request)
    with pytest.raises(ClientError) as botocores:
        aws.client("dynamodb").transact_write_items(TransactItems=request)
    assert ours.value.response["Error"]["Code"] == "TransactionCanceledException"
    for raised in (ours.value, botocores.value):
        told: Any = raised.response["CancellationReasons"]
        assert [reason["Code"] for reason in told] == ["None", "ConditionalCheckFailed"]
    answer = await dynamodb.get_item(TableName=TABLE, Key={"pk": {"S": free}, "sk": {"S": "TEST"}})
    assert "Item" not in answer, "all or nothing"


async def test_a_table_that_is_not_there_is_told(dynamodb: DynamoDB) -> None:
    request = put("TEST#x")
    request["Put"]["TableName"] = "no-such-table"
    with pytest.raises(ClientError) as refused:
        await dynamodb.transact_write_items(TransactItems=[request])
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


class Server:
    """A DynamoDB that answers what it is told to, one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((dict(request.headers), json.loads(await request.read())))
        status, value = self.answers.pop(0)
        return web.json_response(value, status=status, content_type="application/x-amz-json-1.0")


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Server, DynamoDB]]:
    server = Server()
    application = web.Application()
    application.router.add_post("/", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token")
    async with open_clients(REGION) as (client, _, _, _):
        yield server, client
    await runner.cleanup()


@pytest.mark.parametrize(
    "busy", [(500, {}), (503, {}), (400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"})]
)
async def test_a_busy_table_is_asked_once_more_with_the_same_token(
    served: tuple[Server, DynamoDB], busy: tuple[int, dict[str, Any]]
) -> None:
    server, dynamodb = served
    server.answers = [busy, (200, {})]
    assert await dynamodb.transact_write_items(TransactItems=[put("x")]) == {}
    first, second = (body for _, body in server.asked)
    assert first == second
    assert first["ClientRequestToken"]
    server.answers = [busy, busy]
    with pytest.raises(ClientError):
        await dynamodb.transact_write_items(TransactItems=[put("x")])
    assert server.asked[-1][1]["ClientRequestToken"] != first["ClientRequestToken"]


async def test_the_request_is_signed_with_the_roles_credentials(served: tuple[Server, DynamoDB]) -> None:
    server, dynamodb = served
    server.answers = [(200, {})]
    await dynamodb.transact_write_items(TransactItems=[put("x")])
    [(headers, _)] = server.asked
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.TransactWriteItems"
    assert headers["X-Amz-Security-Token"] == "session-token"
    signature = headers["Authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIATEST/")
    assert f"/{REGION}/dynamodb/aws4_request" in signature
    assert "x-amz-target" in signature


async def test_a_table_that_is_gone_raises_what_botocore_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    async with open_clients(REGION) as (gone, _, _, _):
        with pytest.raises(BotoCoreError):
            await asyncio.wait_for(gone.transact_write_items(TransactItems=[put("x")]), 5)


async def test_without_credentials_nothing_is_sent() -> None:
    class Nobody:
        async def get_credentials(self) -> None:
            return None

    with pytest.raises(NoCredentialsError):
        await TransactionWriter(Nobody(), None)(TransactItems=[])
