"""Every endpoint through the official SDK: plain, streamed and async, with the upstream's own usage."""

import asyncio
import base64
import json
import struct
import uuid
from typing import Any

import openai
import pytest
from openai.types import ModerationMultiModalInputParam
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseIncompleteEvent,
    ResponseTextDeltaEvent,
)

from local.stand_in.completions import count_tokens
from local.stand_in.embeddings import embed
from local.stand_in.text import tokens
from tests.app.conftest import Gateway, StandIn
from tests.servers import until

MODEL = "gpt-4o-mini"
pytestmark = pytest.mark.usefixtures("stand_in")

COMPLETION_MODEL = "gpt-3.5-turbo-instruct"
EMBEDDING_MODEL = "text-embedding-3-small"


def question() -> str:
    return f"question {uuid.uuid4()}"


def log_line(gateway: Gateway, request_id: str) -> dict[str, Any]:
    return gateway.program.said("request", request_id=request_id)


def test_a_response_tells_its_exact_usage(gateway: Gateway, stand_in: StandIn) -> None:
    asked = question()
    stand_in.behave(cached_tokens=2, reasoning_tokens=5)
    raw = gateway.sdk().responses.with_raw_response.create(model=MODEL, input=asked, instructions="Be short.")
    answer = raw.parse()
    assert asked in answer.output_text
    assert answer.status == "completed"
    assert answer.usage
    assert answer.usage.input_tokens == 3 + 6 + len(tokens(asked)) + len(tokens("Be short."))
    assert answer.usage.output_tokens == 5 + len(tokens(answer.output_text))
    line = log_line(gateway, raw.headers["x-request-id"])
    assert (line["prompt_tokens"], line["completion_tokens"], line["total_tokens"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
        answer.usage.total_tokens,
    )
    assert (line["cached_tokens"], line["reasoning_tokens"], line["model"]) == (2, 5, MODEL)
    assert stand_in.calls()["endpoints"] == {"POST /v1/responses": 1}


def test_a_streamed_response_is_the_upstreams_event_by_event(gateway: Gateway, stand_in: StandIn) -> None:
    with gateway.sdk().responses.with_streaming_response.create(
        model=MODEL, input=question(), stream=True
    ) as raw:
        request_id = raw.headers["x-request-id"]
        events = list(raw.parse())
    assert isinstance(events[0], ResponseCreatedEvent)
    assert isinstance(events[-1], ResponseCompletedEvent)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if isinstance(event, ResponseTextDeltaEvent))
    assert text == events[-1].response.output_text
    line = log_line(gateway, request_id)
    assert line["stream"] is True
    assert line["total_tokens"] == stand_in.calls()["total_tokens"] > 0


def test_a_response_that_reached_its_limit_says_so(gateway: Gateway, stand_in: StandIn) -> None:
    asked: dict[str, Any] = {"model": MODEL, "input": question(), "max_output_tokens": 16}
    plain = gateway.sdk().responses.create(**asked)
    assert plain.status == "incomplete"
    assert plain.incomplete_details
    assert plain.incomplete_details.reason == "max_output_tokens"
    repeatable = {**asked, "stream": True, "temperature": 0, "store": False}
    for _ in range(2):
        *_, last = gateway.sdk().responses.create(**repeatable)
        assert isinstance(last, ResponseIncompleteEvent)
        assert last.response.usage
        assert last.response.usage.output_tokens == 16
    assert stand_in.calls()["total"] == 3, "what is not whole is not kept"


def test_the_streaming_helper_of_the_sdk_works(gateway: Gateway, stand_in: StandIn) -> None:
    with gateway.sdk().responses.stream(model=MODEL, input=question()) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text
    with gateway.sdk().chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": question()}]
    ) as chat:
        for _ in chat:
            pass
        assert chat.get_final_completion().choices[0].message.content
    assert stand_in.calls()["total"] == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_kept_only_when_nothing_is_stored_upstream(gateway: Gateway, stream: bool) -> None:
    def ask(**options: Any) -> str:
        raw = gateway.sdk().responses.with_raw_response.create(
            model=MODEL, input="the same", temperature=0, stream=stream, user=user, **options
        )
        list(raw.parse()) if stream else raw.parse()
        return str(raw.headers["x-cache"])

    user = str(uuid.uuid4())
    assert [ask(), ask(store=True)] == ["bypass", "bypass"]
    assert ask(store=False) == "miss"
    until(lambda: ask(store=False) == "hit")


@pytest.mark.parametrize("behaviour", [{"cut_after": 6}, {"end_after": 6}, {"malformed": True}])
def test_a_response_that_is_cut_raises(
    gateway: Gateway, stand_in: StandIn, behaviour: dict[str, Any]
) -> None:
    stand_in.behave(**behaviour)
    stream = gateway.sdk().responses.create(model=MODEL, input=question(), stream=True)
    with pytest.raises(openai.APIError) as cut:
        list(stream)
    assert cut.value.code == ("upstream_malformed" if "malformed" in behaviour else "upstream_cut")


def test_a_response_that_fails_upstream_ends_as_upstream_says(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(error_after=4)
    raw = gateway.sdk().responses.with_raw_response.create(model=MODEL, input=question(), stream=True)
    *_, last = raw.parse()
    assert last.type == "response.failed"
    assert last.response.error
    line = log_line(gateway, raw.headers["x-request-id"])
    assert line["error"] == "upstream_failed_in_stream"


def test_an_error_after_a_ping_is_an_event_that_the_sdk_raises(gateway: Gateway, stand_in: StandIn) -> None:
    stand_in.behave(delay_ms=500, status=422)
    stream = gateway.sdk().responses.create(model=MODEL, input=question(), stream=True)
    with pytest.raises(openai.APIError, match="Failed with 422"):
        list(stream)


def test_a_response_can_call_functions_and_read_images(gateway: Gateway, stand_in: StandIn) -> None:
    image = "data:image/png;base64," + base64.b64encode(b"x" * 100).decode()
    gateway.sdk().responses.create(
        model=MODEL,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what is it?"},
                    {"type": "input_image", "image_url": image, "detail": "auto"},
                ],
            },
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "7"},
        ],
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
    )
    assert json.loads(stand_in.last_call()["body"])["input"][2]["output"] == "7"


def test_a_background_response_is_refused(gateway: Gateway, stand_in: StandIn) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.sdk().responses.create(model=MODEL, input="x", background=True)
    assert (refused.value.param, refused.value.code) == ("background", "unsupported_value")
    assert stand_in.calls()["total"] == 0


def test_completions_plain_and_streamed(gateway: Gateway) -> None:
    asked: dict[str, Any] = {"model": COMPLETION_MODEL, "prompt": [question(), question()], "n": 2}
    raw = gateway.sdk().completions.with_raw_response.create(**asked, best_of=3)
    answer = raw.parse()
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    line = log_line(gateway, raw.headers["x-request-id"])
    assert answer.usage
    assert line["completion_tokens"] == answer.usage.completion_tokens
    assert answer.usage.completion_tokens > sum(count_tokens(choice.text) for choice in answer.choices)
    for include_usage in (False, True):
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if include_usage else {}
        streamed = gateway.sdk().completions.with_raw_response.create(**asked, stream=True, **options)
        chunks = list(streamed.parse())
        assert [bool(chunk.usage) for chunk in chunks].count(True) == int(include_usage)
        texts = ["", "", "", ""]
        for chunk in chunks:
            for choice in chunk.choices:
                texts[choice.index] += choice.text
        assert texts == [choice.text for choice in answer.choices]
        line = log_line(gateway, streamed.headers["x-request-id"])
        assert line["completion_tokens"] == sum(count_tokens(text) for text in texts)


def test_completions_of_tokens(gateway: Gateway) -> None:
    answer = gateway.sdk().completions.create(model=COMPLETION_MODEL, prompt=[[1, 2, 3], [4]], max_tokens=2)
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 4)
    assert {choice.finish_reason for choice in answer.choices} == {"length"}


def test_embeddings_as_floats_and_as_base64(gateway: Gateway, stand_in: StandIn) -> None:
    asked = [question(), question()]
    expected = [embed(EMBEDDING_MODEL, text, 8) for text in asked]
    client = gateway.sdk()
    # The SDK asks for base64 by itself and decodes it.
    by_default = client.embeddings.create(model=EMBEDDING_MODEL, input=asked, dimensions=8)
    assert json.loads(stand_in.last_call()["body"])["encoding_format"] == "base64"
    floats = client.embeddings.create(
        model=EMBEDDING_MODEL, input=asked, dimensions=8, encoding_format="float"
    )
    for answer in (by_default, floats):
        assert [pytest.approx(entry.embedding, abs=1e-6) for entry in answer.data] == expected
    raw = client.embeddings.with_raw_response.create(
        model=EMBEDDING_MODEL, input=asked, dimensions=8, encoding_format="base64", user="another"
    )
    spelled: Any = json.loads(raw.content)["data"][1]["embedding"]
    assert list(struct.unpack("<8f", base64.b64decode(spelled))) == pytest.approx(expected[1])
    line = log_line(gateway, raw.headers["x-request-id"])
    assert line["prompt_tokens"] == line["total_tokens"] == sum(count_tokens(text) for text in asked)
    assert line["completion_tokens"] == 0


def test_embeddings_are_repeatable(gateway: Gateway) -> None:
    asked: dict[str, Any] = {"model": EMBEDDING_MODEL, "input": question()}
    first = gateway.sdk().embeddings.with_raw_response.create(**asked)
    assert first.headers["x-cache"] == "miss"

    def again() -> Any:
        raw = gateway.sdk().embeddings.with_raw_response.create(**asked)
        return raw if raw.headers["x-cache"] == "hit" else None

    hit = until(again)
    assert hit.parse().data[0].embedding == first.parse().data[0].embedding
    assert log_line(gateway, hit.headers["x-request-id"])["total_tokens"] is None


def test_embeddings_of_tokens(gateway: Gateway) -> None:
    answer = gateway.sdk().embeddings.create(model=EMBEDDING_MODEL, input=[[1, 2, 3], [4, 5]])
    assert [entry.index for entry in answer.data] == [0, 1]
    assert answer.usage.prompt_tokens == 5
    assert gateway.sdk().embeddings.create(model=EMBEDDING_MODEL, input=[6, 7, 8]).usage.total_tokens == 3


def test_moderations(gateway: Gateway) -> None:
    client = gateway.sdk()
    answer = client.moderations.create(input=["all is well", "this is *violence* and *hate/threatening*"])
    assert [result.flagged for result in answer.results] == [False, True]
    flagged = answer.results[1]
    assert flagged.categories.violence
    assert flagged.categories.hate_threatening
    assert not flagged.categories.sexual
    assert flagged.category_scores.violence > 0.9 > flagged.category_scores.sexual
    parts: list[ModerationMultiModalInputParam] = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    raw = client.moderations.with_raw_response.create(
        model="omni-moderation-latest",
        input=parts,
    )
    assert len(raw.parse().results) == 1
    line = log_line(gateway, raw.headers["x-request-id"])
    assert (line["model"], line["total_tokens"], line["cache"]) == ("omni-moderation-latest", None, "bypass")


def test_a_moderation_without_a_model_is_logged_with_openais_default(
    gateway: Gateway, stand_in: StandIn
) -> None:
    raw = gateway.sdk().moderations.with_raw_response.create(input="all is well")
    assert "model" not in json.loads(stand_in.last_call()["body"])
    assert log_line(gateway, raw.headers["x-request-id"])["model"] == "omni-moderation-latest"


async def test_every_endpoint_through_the_async_client_at_once(gateway: Gateway, stand_in: StandIn) -> None:
    async with gateway.async_sdk() as client:

        async def streamed_chat() -> str:
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "streamed chat"}], stream=True
            )
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        async def streamed_response() -> str:
            stream = await client.responses.create(model=MODEL, input="streamed response", stream=True)
            return "".join([e.delta async for e in stream if isinstance(e, ResponseTextDeltaEvent)])

        async def streamed_completion() -> str:
            stream = await client.completions.create(
                model=COMPLETION_MODEL, prompt="streamed completion", stream=True
            )
            return "".join([c.choices[0].text async for c in stream if c.choices])

        (chat, response, completion), (embedding, moderation, models), streamed = await asyncio.gather(
            asyncio.gather(
                client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "chat"}]),
                client.responses.create(model=MODEL, input="response"),
                client.completions.create(model=COMPLETION_MODEL, prompt="completion"),
            ),
            asyncio.gather(
                client.embeddings.create(model=EMBEDDING_MODEL, input=question()),
                client.moderations.create(input="moderation"),
                client.models.list(),
            ),
            asyncio.gather(streamed_chat(), streamed_response(), streamed_completion()),
        )
    assert "You asked: chat" in (chat.choices[0].message.content or "")
    assert "You asked: response" in response.output_text
    assert "You asked: completion" in completion.choices[0].text
    assert len(embedding.data[0].embedding) == 16
    assert moderation.results[0].flagged is False
    assert models.data
    assert all(
        f"You asked: streamed {what}" in text
        for what, text in zip(("chat", "response", "completion"), streamed, strict=True)
    )
    assert stand_in.calls()["outcomes"] == {"answered": 9}
