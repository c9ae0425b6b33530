"""Conversations of one project through whole replicas: the SDK continues its own, and reaches no other's."""

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseInputItemParam

from app.kept import KeptIds
from tests.app.accounts import MODEL, Account
from tests.app.batches.inputs import requests
from tests.app.conftest import PEPPER, Aws, Gateway, StandIn, StartGateway
from tests.servers import Relay


def sent(stand_in: StandIn) -> dict[str, Any]:
    """What the upstream was asked last."""
    body: dict[str, Any] = json.loads(stand_in.last_call()["body"])
    return body


@pytest.fixture
def account(aws: Aws) -> Account:
    return Account(aws)


@pytest.fixture
def client(gateway: Gateway, account: Account, stand_in: StandIn) -> openai.OpenAI:
    assert stand_in.calls()["total"] == 0
    return gateway.sdk(key=account.key)


@pytest.fixture
def stranger(gateway: Gateway, aws: Aws) -> openai.OpenAI:
    """Of another project."""
    return gateway.sdk(key=Account(aws).key)


def upstreams(account: Account, signed: str) -> str:
    """The upstream's id, which is what the caller's begins with."""
    kept_id = KeptIds(PEPPER).of(account.project_id).opened(signed)
    assert kept_id is not None
    assert signed.startswith(kept_id)
    return kept_id


def asked(client: openai.OpenAI, *, stream: bool = False, **fields: Any) -> Response:
    given = {"model": MODEL, "input": "tell me", **fields}
    if not stream:
        answer: Response = client.responses.create(**given)
        return answer
    with client.responses.stream(**given) as events:
        return events.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_continued_by_its_id(
    client: openai.OpenAI, account: Account, stand_in: StandIn, stream: bool
) -> None:
    first = asked(client, stream=stream)
    second = asked(client, stream=stream, previous_response_id=first.id)
    assert sent(stand_in)["previous_response_id"] == upstreams(account, first.id)
    assert second.previous_response_id == first.id
    third = asked(client, stream=stream, previous_response_id=second.id)
    assert third.id != second.id


def test_every_id_of_a_stream_is_the_one_that_its_end_tells(client: openai.OpenAI, account: Account) -> None:
    items, responses = set(), set()
    for event in client.responses.create(model=MODEL, input="tell me", stream=True):
        told = event.model_dump()
        items |= {told["item_id"]} if "item_id" in told else set()
        items |= {told["item"]["id"]} if "item" in told else set()
        items |= {one["id"] for one in told["response"]["output"]} if "response" in told else set()
        responses |= {told["response"]["id"]} if "response" in told else set()
    for found in (items, responses):
        (signed,) = found
        assert upstreams(account, signed)


@pytest.mark.parametrize("reference", [True, False])
def test_items_of_an_answer_are_sent_back_whole_or_by_their_ids(
    client: openai.OpenAI, account: Account, stand_in: StandIn, reference: bool
) -> None:
    (item,) = asked(client).output
    whole: Any = item.model_dump()
    given: Any = {"type": "item_reference", "id": item.id} if reference else whole
    turn: list[ResponseInputItemParam] = [{"role": "user", "content": "and then?"}, given]
    client.responses.create(model=MODEL, input=turn)
    received = sent(stand_in)["input"][1]
    assert received == {**given, "id": upstreams(account, str(item.id))}


def test_another_replica_continues_it_at_once(
    client: openai.OpenAI, account: Account, start_gateway: StartGateway, stand_in: StandIn
) -> None:
    first = asked(client)
    with start_gateway() as other:
        asked(other.sdk(key=account.key), previous_response_id=first.id)
    assert sent(stand_in)["previous_response_id"] == upstreams(account, first.id)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_another_project_does_not_find_it_whatever_it_knows(
    client: openai.OpenAI,
    stranger: openai.OpenAI,
    account: Account,
    stand_in: StandIn,
    raw: bool,
    stream: bool,
) -> None:
    first = asked(client)
    response_id, item_id = first.id, str(first.output[0].id)
    if raw:
        response_id, item_id = upstreams(account, response_id), upstreams(account, item_id)
    before = stand_in.calls()["total"]
    with pytest.raises(openai.BadRequestError) as unknown:
        stranger.responses.create(
            model=MODEL, input="what was said?", previous_response_id=response_id, stream=stream
        )
    assert (unknown.value.code, unknown.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )
    with pytest.raises(openai.NotFoundError) as nothing:
        stranger.responses.create(
            model=MODEL, input=[{"type": "item_reference", "id": item_id}], stream=stream
        )
    assert nothing.value.param == "input[0].id"
    with pytest.raises(openai.NotFoundError):
        stranger.responses.create(model=MODEL, input="x", conversation="conv_1", stream=stream)
    assert stand_in.calls()["total"] == before


def test_an_answer_that_is_not_stored_has_the_upstreams_ids_which_nothing_is_found_by(
    client: openai.OpenAI, account: Account, stand_in: StandIn
) -> None:
    answer = asked(client, store=False)
    opened = KeptIds(PEPPER).of(account.project_id).opened
    assert opened(answer.id) is None
    given: Any = answer.output[0].model_dump()
    client.responses.create(model=MODEL, input=[given], store=False)
    assert "id" not in sent(stand_in)["input"][0]
    assert sent(stand_in)["input"][0]["content"] == given["content"]
    with pytest.raises(openai.BadRequestError):
        asked(client, previous_response_id=answer.id)


def file_part(file_id: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}


def test_a_file_is_its_projects_alone(
    client: openai.OpenAI, stranger: openai.OpenAI, stand_in: StandIn
) -> None:
    file = client.files.create(file=("input.jsonl", requests(1)), purpose="batch")
    chat: Any = [{"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}]
    asked(client, input=[file_part(file.id)])
    assert sent(stand_in)["input"] == [file_part(file.id)]
    client.chat.completions.create(model=MODEL, messages=chat)
    assert sent(stand_in)["messages"] == chat
    before = stand_in.calls()["total"]
    with pytest.raises(openai.NotFoundError) as missing:
        asked(stranger, input=[{"role": "user", "content": "x"}, file_part(file.id)])
    assert (missing.value.param, missing.value.code) == ("input[1].content[0].file_id", "not_found")
    with pytest.raises(openai.NotFoundError) as missing:
        stranger.chat.completions.create(model=MODEL, messages=chat)
    assert missing.value.param == "messages[0].content[0].file.file_id"
    with pytest.raises(openai.NotFoundError):
        asked(stranger, input=[file_part("file-" + "x" * 300)])
    with pytest.raises(openai.BadRequestError) as many:
        asked(client, input=[file_part(f"file-{number}") for number in range(21)])
    assert many.value.code == "array_above_max_length"
    assert stand_in.calls()["total"] == before


def test_whose_a_file_is_cannot_be_told_without_the_table(
    start_gateway: StartGateway, aws: Aws, account: Account, stand_in: StandIn
) -> None:
    relay = Relay(int(aws.endpoint_url.rpartition(":")[2]))
    try:
        with start_gateway(AWS_ENDPOINT_URL=f"http://127.0.0.1:{relay.port}") as gateway:
            client = gateway.sdk(key=account.key)
            first = asked(client)
            relay.refuse()
            asked(client, previous_response_id=first.id)
            before = stand_in.calls()["total"]
            with pytest.raises(openai.InternalServerError) as refused:
                asked(client, input=[file_part("file-1")])
            assert (refused.value.status_code, refused.value.code) == (503, "batches_unavailable")
            assert stand_in.calls()["total"] == before
    finally:
        relay.close()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"input": [file_part("file-1")]}, "input[0].content[0].file_id"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
    ],
)
def test_a_batch_refers_to_nothing_that_is_kept(
    client: openai.OpenAI, stand_in: StandIn, fields: dict[str, Any], param: str
) -> None:
    body = {"model": MODEL, "input": "x", **fields}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/responses", "body": body}
    with pytest.raises(openai.BadRequestError, match="Line 1 of the file") as refused:
        client.files.create(file=("input.jsonl", json.dumps(line).encode()), purpose="batch")
    assert refused.value.param == param
    assert stand_in.calls()["total"] == 0


def test_a_batch_of_items_that_bring_their_content_is_made(client: openai.OpenAI, stand_in: StandIn) -> None:
    stand_in.control("DELETE", "/batches")
    item = {"type": "message", "role": "assistant", "content": "x"}
    body = {"model": MODEL, "input": [{**item, "id": "msg_1"}], "max_output_tokens": 16}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/responses", "body": body}
    file = client.files.create(file=("input.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
    assert json.loads(client.files.content(file.id).content)["body"]["input"] == [item]
    assert client.batches.retrieve(batch.id).status == "completed"
