"""OpenAI's Batch API through the gateway, with the official SDK: its life, whose it is, what it costs."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest

from app.batches.form import FORM_BYTES, MAX_FILE_BYTES
from app.ledger_rollups import dimensions_of, partition
from app.limits import NO_LIMITS, Limits
from app.models.permissions import ModelPermissions
from app.project_settings import ProjectSettings
from tests.app.accounts import MODEL, Account
from tests.app.batches.inputs import ENDPOINT, begun, jsonl, line, made, price_of, requests
from tests.app.conftest import TABLE, Aws, Gateway, StandIn
from tests.servers import ValkeyServer, until

pytestmark = pytest.mark.usefixtures("stand_in")


@pytest.fixture
def account(aws: Aws) -> Account:
    return Account(aws, Limits(spend_limit_micro_usd=1_000_000))


@pytest.fixture
def client(gateway: Gateway, account: Account) -> openai.OpenAI:
    return gateway.sdk(key=account.key)


def asked_of(stand_in: StandIn) -> int:
    """Calls, but for those that gateways make unasked, which look at open batches once a minute."""
    return sum(
        count
        for endpoint, count in stand_in.calls()["endpoints"].items()
        if not endpoint.startswith("GET /v1/batches")
    )


def test_a_batch_lives_as_at_openai_and_is_charged_at_its_price(
    client: openai.OpenAI, account: Account, valkey: ValkeyServer
) -> None:
    file = client.files.create(file=("in put.jsonl", requests(3)), purpose="batch")
    assert (file.filename, file.purpose) == ("in put.jsonl", "batch")
    batch = made(client, file.id, metadata={"mine": "yes"})
    assert (batch.status, batch.metadata) == ("in_progress", {"mine": "yes"})
    spent, held = account.budgets(valkey)["b:o"]
    assert spent == 0
    assert held > 0
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.metadata) == ("completed", {"mine": "yes"})
    assert done.output_file_id is not None
    output = client.files.content(done.output_file_id).content
    assert [json.loads(one)["custom_id"] for one in output.splitlines()] == [
        "request-0",
        "request-1",
        "request-2",
    ]
    charged = price_of(output)
    assert 0 < charged <= held
    assert account.budgets(valkey)["b:o"] == (charged, 0)
    (record,) = account.recorded(1).values()
    assert (record["micro_usd"], record["requests"]) == (charged, 3)
    assert (record["endpoint"], record["model"]) == ("/batches/chat/completions", MODEL)
    assert (record["outcome"], record["estimated"], record["priced"]) == ("answered", False, True)
    until(lambda: account.totals().get("ORG", {}).get("requests") == 3)
    listed = client.batches.list()
    assert [(one.id, one.status, one.metadata) for one in listed] == [(batch.id, "completed", done.metadata)]
    assert {one.id for one in client.files.list()} == {file.id, done.output_file_id}
    assert [one.id for one in client.files.list(purpose="batch_output")] == [done.output_file_id]
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


@pytest.mark.usefixtures("held")
def test_lists_go_on_after_what_was_shown(client: openai.OpenAI) -> None:
    batches = [begun(client, requests(1)).id for _ in range(3)]
    first = client.batches.list(limit=2)
    assert len(first.data) == 2
    assert first.has_more
    assert {one.id for one in client.batches.list(limit=2)} == set(batches)
    files = list(client.files.list(limit=1))
    assert len(files) == 3
    assert [one.id for one in client.files.list(order="asc")] == [one.id for one in files][::-1]


def test_another_project_finds_none_of_it(
    client: openai.OpenAI, gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    batch = begun(client, requests(1))
    done = client.batches.retrieve(batch.id)
    assert done.output_file_id is not None
    stranger = gateway.sdk(key=Account(aws).key)
    before = asked_of(stand_in)
    for file_id in (batch.input_file_id, done.output_file_id):
        for ask in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(file_id)
    for look in (stranger.batches.retrieve, stranger.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            look(batch.id)
    with pytest.raises(openai.NotFoundError):
        made(stranger, batch.input_file_id)
    with pytest.raises(openai.NotFoundError):
        stranger.batches.list(after=batch.id)
    assert list(stranger.batches.list()) == []
    assert list(stranger.files.list()) == []
    assert asked_of(stand_in) == before, "nothing of it reaches the upstream"
    assert client.files.content(done.output_file_id).content


async def test_a_budget_for_four_batches_lets_four_be_made_at_once(
    gateway: Gateway, aws: Aws, held: StandIn, valkey: ValkeyServer
) -> None:
    probe = Account(aws, Limits(spend_limit_micro_usd=1_000_000))
    begun(gateway.sdk(key=probe.key), requests(5))
    one = probe.budgets(valkey)["b:o"][1]
    account = Account(aws, organization_limits=Limits(spend_limit_micro_usd=5 * one - 1))
    asking = gateway.async_sdk(key=account.key)
    file = await asking.files.create(file=("input.jsonl", requests(5)), purpose="batch")

    async def make() -> str:
        try:
            batch = await asking.batches.create(
                input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h"
            )
        except openai.RateLimitError as refused:
            return str(refused.code)
        return batch.status

    ended = await asyncio.gather(*(make() for _ in range(12)))
    assert sorted(ended) == ["in_progress"] * 4 + ["organization_spend_limit_exceeded"] * 8
    assert account.budgets(valkey)["b:o"] == (0, 4 * one)
    held.control("PUT", "/batches", {"held": False})
    async for batch in asking.batches.list():
        assert (await asking.batches.retrieve(batch.id)).status == "completed"
    spent, still_held = account.budgets(valkey)["b:o"]
    assert still_held == 0
    assert 0 < spent <= 4 * one
    assert sum(record["micro_usd"] for record in account.recorded(4).values()) == spent


def test_an_expired_and_a_cancelled_batch_are_charged_what_was_completed(
    client: openai.OpenAI, account: Account, held: StandIn, valkey: ValkeyServer
) -> None:
    cancelled = begun(client, requests(4))
    held.control("PUT", "/batches", {"held": True, "done": 1})
    assert client.batches.cancel(cancelled.id).status == "cancelling"
    cancelled = client.batches.retrieve(cancelled.id)
    assert cancelled.status == "cancelled"
    expired = begun(client, requests(4))
    held.control("PUT", "/batches", {"held": False, "done": 3})
    expired = client.batches.retrieve(expired.id)
    assert expired.status == "expired"
    charged = 0
    for batch, count in ((cancelled, 1), (expired, 3)):
        assert batch.output_file_id is not None
        output = client.files.content(batch.output_file_id).content
        assert len(output.splitlines()) == count
        charged += price_of(output)
    assert account.budgets(valkey)["b:o"] == (charged, 0)
    assert sorted(record["requests"] for record in account.recorded(2).values()) == [1, 3]


@pytest.mark.usefixtures("held")
def test_a_batch_that_did_nothing_costs_nothing(
    client: openai.OpenAI, account: Account, valkey: ValkeyServer
) -> None:
    batch = begun(client, requests(4))
    client.batches.cancel(batch.id)
    assert client.batches.retrieve(batch.id).status == "cancelled"
    assert account.budgets(valkey)["b:o"] == (0, 0)
    assert account.held_by(valkey) == 0
    assert account.records() == {}


@pytest.mark.parametrize(
    ("lines", "param", "says"),
    [
        ([line(0), {"custom_id": "x"}], "method", "Line 2 of the file: method is not POST."),
        ([line(0), line(0)], "custom_id", "Line 2"),
        ([line(0, url="/v1/models")], "url", "url is not one of /v1/chat/completions"),
        ([line(0, body={"model": MODEL})], "messages", "Line 1 of the file: messages is missing."),
        (
            [line(0, body={**line(0)["body"], "stream": True})],
            "stream",
            "Line 1 of the file: stream is true, and a batch has no streams.",
        ),
        (
            [line(0, body={**line(0)["body"], "service_tier": "priority"})],
            "service_tier",
            "service_tier is not for batches",
        ),
        (
            [line(0), line(1, body={**line(1)["body"], "model": "gpt-4o"})],
            "body.model",
            "Line 2 of the file: The model is gpt-4o",
        ),
        (
            [line(0, body={**line(0)["body"], "model": "unheard-of"})],
            "model",
            "Line 1 of the file: The model 'unheard-of' has no known price",
        ),
        ([], "file", "The file has no requests."),
    ],
)
def test_a_file_that_no_batch_could_be_made_of_is_refused_by_its_line(
    client: openai.OpenAI, stand_in: StandIn, lines: list[Any], param: str, says: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("input.jsonl", jsonl(lines)), purpose="batch")
    assert refused.value.param == param
    assert says in refused.value.message
    assert asked_of(stand_in) == 0


def test_a_file_of_another_purpose_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("input.jsonl", requests(1)), purpose="fine-tune")
    assert refused.value.param == "purpose"
    assert "send 'batch'" in refused.value.message


def test_a_file_of_many_requests_passes(client: openai.OpenAI, account: Account) -> None:
    account.limit_project(NO_LIMITS)
    count = 20_000
    file = client.files.create(file=("input.jsonl", requests(count)), purpose="batch")
    done = client.batches.retrieve(made(client, file.id).id)
    assert done.status == "completed"
    (record,) = account.recorded(1).values()
    assert record["requests"] == count


def test_a_file_that_is_too_large_is_refused(client: openai.OpenAI, stand_in: StandIn) -> None:
    for content in (b" " * (MAX_FILE_BYTES + 1), b" " * (MAX_FILE_BYTES + 2 * FORM_BYTES)):
        with pytest.raises(openai.APIStatusError) as refused:
            client.files.create(file=("input.jsonl", content), purpose="batch")
        assert refused.value.status_code == 413
    assert asked_of(stand_in) == 0


def test_a_project_that_keeps_nothing_has_no_files(aws: Aws, gateway: Gateway, stand_in: StandIn) -> None:
    account = Account(aws)
    aws.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"PROJECT#{account.project_id}"}, "sk": {"S": "PROJECT"}},
        UpdateExpression="SET data_retention = :none",
        ExpressionAttributeValues={":none": {"S": "zero_data_retention"}},
    )
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.sdk(key=account.key).files.create(file=("input.jsonl", requests(1)), purpose="batch")
    assert refused.value.code == "zero_data_retention"
    assert asked_of(stand_in) == 0


def test_a_batch_for_another_endpoint_or_window_is_refused(client: openai.OpenAI) -> None:
    file = client.files.create(file=("input.jsonl", requests(1)), purpose="batch")
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
    assert refused.value.param == "endpoint"
    with pytest.raises(openai.BadRequestError) as refused:
        made(client, file.id, extra_body={"completion_window": "1h"})
    assert refused.value.param == "completion_window"
    with pytest.raises(openai.BadRequestError) as refused:
        made(client, file.id, metadata={f"key-{number}": "value" for number in range(16)})
    assert refused.value.param == "metadata"


def test_aliases_and_defaults_are_put_into_the_file_and_permissions_are_those_of_now(
    gateway: Gateway, aws: Aws
) -> None:
    account = Account(aws)
    settings: dict[str, Any] = {
        "model_aliases": {"fast": {"models": (MODEL,)}},
        "caps": {"max_tokens": 64, "default_max_tokens": 16},
    }
    account.choose(ProjectSettings.model_validate(settings))
    client = gateway.sdk(key=account.key)
    asked = {"model": "fast", "messages": line(0)["body"]["messages"]}
    file = client.files.create(file=("input.jsonl", jsonl([line(0, body=asked)])), purpose="batch")
    sent = json.loads(client.files.content(file.id).content)
    assert (sent["body"]["model"], sent["body"]["max_completion_tokens"]) == (MODEL, 16)
    made(client, file.id)
    with pytest.raises(openai.BadRequestError) as capped:
        client.files.create(
            file=("input.jsonl", jsonl([line(0, body={**asked, "max_tokens": 65})])), purpose="batch"
        )
    assert "Line 1 of the file: max_tokens is 65" in capped.value.message
    forbidden = ModelPermissions(mode="deny_list", model_ids=(MODEL,))
    account.choose(ProjectSettings.model_validate({**settings, "model_permissions": forbidden}))

    def is_refused() -> bool:
        try:
            made(client, file.id)
        except openai.PermissionDeniedError:
            return True
        return False

    until(is_refused, 8.0)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\ncut',
        ),
    ],
)
def test_what_is_no_form_is_refused(
    gateway: Gateway, account: Account, stand_in: StandIn, content_type: str, body: bytes
) -> None:
    answer = httpx2.post(
        f"{gateway.url}/v1/files",
        content=body,
        headers={"authorization": f"Bearer {account.key}", "content-type": content_type},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert asked_of(stand_in) == 0


def test_an_upstream_that_refuses_a_batch_gives_its_money_back(
    client: openai.OpenAI, account: Account, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    file = client.files.create(file=("input.jsonl", requests(1)), purpose="batch")
    stand_in.control("PUT", "/key", {"key": "sk-another"})
    with pytest.raises(openai.APIStatusError) as refused:
        made(client, file.id)
    assert "sk-" not in refused.value.message
    stand_in.reset()
    assert account.held_by(valkey) == 0


def test_usage_tells_batches_apart(client: openai.OpenAI, account: Account) -> None:
    batch = begun(client, requests(2))
    assert client.batches.retrieve(batch.id).status == "completed"
    account.recorded(1)
    found = account.aws.client("dynamodb").query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": partition(account.organization_id, "completions", "1d")}},
    )["Items"]
    ((item, of),) = [(one, dimensions_of(one["dimensions"]["S"])) for one in found]
    assert (of.batch, of.model, item["requests"]["N"]) == (True, MODEL, "2")
