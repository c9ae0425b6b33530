"""The stand-in's endpoints beside chat: OpenAI's forms, to the last field, and tokens a test can count."""

import base64
import json
import math
import struct
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from local.stand_in.embeddings import embed
from local.stand_in.text import tokens
from tests.servers import running

KEY = "sk-stand-in-key"
MODEL = "gpt-4o-mini"

ASKED: dict[str, dict[str, Any]] = {
    "/chat/completions": {"model": MODEL, "messages": [{"role": "user", "content": "What is it?"}]},
    "/responses": {"model": MODEL, "input": "What is it?"},
    "/completions": {"model": "gpt-3.5-turbo-instruct", "prompt": "What is it?"},
    "/embeddings": {"model": "text-embedding-3-small", "input": "What is it?"},
    "/moderations": {"input": "What is it?"},
}
FORMS: dict[str, TypeAdapter[Any]] = {
    "/chat/completions": TypeAdapter(ChatCompletion),
    "/responses": TypeAdapter(Response),
    "/completions": TypeAdapter(Completion),
    "/embeddings": TypeAdapter(CreateEmbeddingResponse),
    "/moderations": TypeAdapter(ModerationCreateResponse),
}
EVENT_FORMS: dict[str, TypeAdapter[Any]] = {
    "/chat/completions": TypeAdapter(ChatCompletionChunk),
    "/responses": TypeAdapter(ResponseStreamEvent),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("local.stand_in", "--key", KEY) as program:
        yield f"http://127.0.0.1:{program.said('serving')['port']}"


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    ask(f"{url}/stand-in/calls", method="DELETE")
    ask(f"{url}/stand-in/behaviour", method="DELETE")
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def ask(url: str, body: Any = None, method: str = "POST") -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(url, method=method, data=data, headers=headers)  # noqa: S310 (loopback)
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        received: bytes = answer.read()
        return received


@pytest.mark.parametrize("path", ASKED)
def test_an_answer_is_of_the_sdks_type_to_the_last_field(url: str, path: str) -> None:
    FORMS[path].validate_json(ask(f"{url}/v1{path}", ASKED[path]), strict=True)


@pytest.mark.parametrize("path", EVENT_FORMS)
def test_every_event_of_a_stream_is_of_the_sdks_type(url: str, path: str) -> None:
    events = ask(f"{url}/v1{path}", {**ASKED[path], "stream": True}).split(b"\n\n")
    data = [event.rpartition(b"data: ")[2] for event in events if event]
    assert len(data) > 5
    for event in data:
        if event != b"[DONE]":
            EVENT_FORMS[path].validate_json(event, strict=True)


def test_a_response_streams_what_it_says_whole(client: openai.OpenAI) -> None:
    plain = client.responses.create(model=MODEL, input="What is it?", instructions="Be brief.")
    *_, last = client.responses.create(
        model=MODEL, input="What is it?", instructions="Be brief.", stream=True
    )
    assert last.type == "response.completed"
    assert last.response.output_text == plain.output_text
    assert last.response.usage == plain.usage
    assert plain.usage
    assert plain.usage.input_tokens == 3 + 2 * 3 + len(tokens("What is it?")) + len(tokens("Be brief."))
    assert plain.usage.output_tokens == len(tokens(plain.output_text))
    short = client.responses.create(model=MODEL, input="What is it?", max_output_tokens=3)
    assert (short.status, len(tokens(short.output_text))) == ("incomplete", 3)


def test_completions_charge_for_all_that_were_tried(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "gpt-3.5-turbo-instruct", "prompt": ["one", "two"], "max_tokens": 4}
    answer = client.completions.create(**asked, n=1, best_of=3)
    assert len(answer.choices) == 2
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 2 * 3 * 4)
    assert answer.choices[0].text != answer.choices[1].text
    stopped = client.completions.create(**{**asked, "prompt": "one"}, stop="You")
    assert "You" not in stopped.choices[0].text


def test_vectors_have_length_one_and_depend_on_text_and_model(client: openai.OpenAI) -> None:
    def vector(text: str, model: str = "text-embedding-3-small", **options: Any) -> list[float]:
        asked = {"model": model, "input": text, "encoding_format": "float", **options}
        return client.embeddings.create(**asked).data[0].embedding

    assert math.isclose(math.hypot(*vector("one")), 1, rel_tol=1e-6)
    assert vector("one") == vector("one") == pytest.approx(embed("text-embedding-3-small", "one", 16))
    assert vector("one") != vector("two")
    assert vector("one") != vector("one", "text-embedding-3-large")
    assert len(vector("one", dimensions=256)) == 256


def test_base64_holds_the_same_numbers(url: str) -> None:
    body = json.loads(ask(f"{url}/v1/embeddings", {**ASKED["/embeddings"], "encoding_format": "base64"}))
    numbers = struct.unpack("<16f", base64.b64decode(body["data"][0]["embedding"]))
    plain = json.loads(ask(f"{url}/v1/embeddings", ASKED["/embeddings"]))
    assert list(numbers) == plain["data"][0]["embedding"]


def test_what_is_named_between_stars_is_flagged(client: openai.OpenAI) -> None:
    answer = client.moderations.create(input=["fine", "*self-harm/intent*", "*nothing known*"])
    assert [result.flagged for result in answer.results] == [False, True, False]
    assert answer.results[1].categories.self_harm_intent
    assert not answer.results[1].categories.self_harm


def test_calls_say_how_they_are_charged(client: openai.OpenAI, url: str) -> None:
    body = {"behaviour": {"cached_tokens": 2, "reasoning_tokens": 7}, "times": 1}
    ask(f"{url}/stand-in/behaviour", body, method="PUT")
    answer = client.responses.create(model=MODEL, input="What is it?")
    assert answer.usage
    assert answer.usage.input_tokens_details.cached_tokens == 2
    assert answer.usage.output_tokens_details.reasoning_tokens == 7
    client.moderations.create(input="x")
    first, second = json.loads(ask(f"{url}/stand-in/calls", method="GET"))["last"]
    assert (first["prompt_tokens"], first["completion_tokens"], first["total_tokens"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
        answer.usage.total_tokens,
    )
    assert second["total_tokens"] == 0


@pytest.mark.parametrize("path", ["/embeddings", "/moderations"])
def test_what_does_not_stream_says_so(client: openai.OpenAI, path: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client.post(path, body={**ASKED[path], "stream": True}, cast_to=object)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/responses", "input"),
        ("/completions", "prompt"),
        ("/embeddings", "input"),
        ("/moderations", "input"),
    ],
)
def test_a_bad_request_names_its_field(client: openai.OpenAI, path: str, field: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.post(path, body={**ASKED[path], field: 5}, cast_to=object)
    assert refused.value.param == field
