"""The stand-in's files and batches through the official SDK."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest

from tests.local.test_stand_in_endpoints import KEY, MODEL, ask
from tests.servers import running

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("local.stand_in", "--key", KEY) as program:
        yield f"http://127.0.0.1:{program.said('serving')['port']}"


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    ask(f"{url}/stand-in/batches", method="DELETE")
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def lines(*prompts: str, **changed: Any) -> bytes:
    asked = [
        {
            "custom_id": f"request-{number}",
            "method": "POST",
            "url": ENDPOINT,
            "body": {"model": MODEL, "messages": [{"role": "user", "content": prompt}]},
            **changed,
        }
        for number, prompt in enumerate(prompts)
    ]
    return b"\n".join(json.dumps(line).encode() for line in asked)


def begun(client: openai.OpenAI, content: bytes) -> openai.types.Batch:
    file = client.files.create(file=("input.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h")


def test_a_file_is_kept_listed_read_and_deleted(client: openai.OpenAI) -> None:
    content = b"\r\n--not a boundary\r\n\xff\x00" + lines("one")
    file = client.files.create(file=("in put.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes, file.purpose) == ("in put.jsonl", len(content), "batch")
    assert client.files.content(file.id).content == content
    assert [one.id for one in client.files.list(purpose="batch")] == [file.id]
    assert list(client.files.list(purpose="vision")) == []
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_answers_every_line_with_its_usage(client: openai.OpenAI) -> None:
    batch = begun(client, lines("one", "two", '#stand-in {"status": 400}'))
    assert batch.status == "in_progress"
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.request_counts
    assert (done.request_counts.completed, done.request_counts.failed) == (2, 1)
    assert done.output_file_id
    assert done.error_file_id
    output = [json.loads(line) for line in client.files.content(done.output_file_id).content.splitlines()]
    assert [line["custom_id"] for line in output] == ["request-0", "request-1"]
    usages = [line["response"]["body"]["usage"]["total_tokens"] for line in output]
    assert done.usage
    assert done.usage.total_tokens == sum(usages) == done.usage.input_tokens + done.usage.output_tokens
    [failed] = client.files.content(done.error_file_id).content.splitlines()
    assert json.loads(failed)["response"]["status_code"] == 400


def test_a_batch_that_is_held_goes_on_when_it_is_let_go_or_is_cancelled(
    client: openai.OpenAI, url: str
) -> None:
    ask(f"{url}/stand-in/batches", {"held": True}, "PUT")
    batches = [begun(client, lines("one")) for _ in range(2)]
    assert [one.status for one in client.batches.list()] == ["in_progress"] * 2
    assert [one.id for one in client.batches.list(limit=1).data] == [batches[1].id]
    assert client.batches.cancel(batches[0].id).status == "cancelling"
    assert client.batches.retrieve(batches[0].id).status == "cancelled"
    ask(f"{url}/stand-in/batches", {"held": False}, "PUT")
    assert client.batches.retrieve(batches[1].id).status == "completed"
    with pytest.raises(openai.BadRequestError, match="Cannot cancel"):
        client.batches.cancel(batches[1].id)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"not JSON", "invalid_json_line"),
        (lines("one", url="/v1/embeddings"), "invalid_url"),
        (lines("one", "two", custom_id="same"), "duplicate_custom_id"),
    ],
)
def test_a_file_that_is_no_batch_fails_with_its_line(
    client: openai.OpenAI, content: bytes, code: str
) -> None:
    batch = begun(client, content)
    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].code == code
