"""A client that is built on the SDK: langchain-openai, told nothing but the base URL and a key."""

from typing import Any

import pytest

from tests.app.conftest import Gateway, StandIn

langchain_openai: Any = pytest.importorskip("langchain_openai")

MODEL = "gpt-4o-mini"
ASKED = "What is a gateway?"


def chat_model(gateway: Gateway, *, use_responses_api: bool) -> Any:
    return langchain_openai.ChatOpenAI(
        model=MODEL,
        base_url=f"{gateway.url}/v1",
        api_key=gateway.key,
        max_retries=0,
        use_responses_api=use_responses_api,
        stream_usage=True,
    )


@pytest.fixture(params=[False, True], ids=["chat completions", "responses"])
def chat(request: pytest.FixtureRequest, gateway: Gateway) -> Any:
    return chat_model(gateway, use_responses_api=request.param)


def text_of(message: Any) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def test_plain_with_usage(chat: Any, stand_in: StandIn) -> None:
    answer = chat.invoke(ASKED)
    assert f"You asked: {ASKED}" in text_of(answer)
    assert answer.usage_metadata["total_tokens"] == stand_in.calls()["total_tokens"] > 0


def test_streamed_with_usage(chat: Any, stand_in: StandIn) -> None:
    chunks = list(chat.stream(ASKED))
    assert len(chunks) > 5
    assert f"You asked: {ASKED}" in "".join(text_of(chunk) for chunk in chunks)
    counted = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert sum(usage["total_tokens"] for usage in counted) == stand_in.calls()["total_tokens"]


async def test_async_plain_streamed_and_in_a_batch(gateway: Gateway, stand_in: StandIn) -> None:
    # Both in one event loop: models share an async client, which is bound to the first.
    for use_responses_api in (False, True):
        chat = chat_model(gateway, use_responses_api=use_responses_api)
        assert ASKED in text_of(await chat.ainvoke(ASKED))
        assert ASKED in "".join([text_of(chunk) async for chunk in chat.astream(ASKED)])
        answers = await chat.abatch([f"number {number}." for number in range(5)])
        assert all(f"number {number}." in text_of(answer) for number, answer in enumerate(answers))
    assert stand_in.calls()["outcomes"] == {"answered": 14}


async def test_embeddings(gateway: Gateway, stand_in: StandIn) -> None:
    embeddings = langchain_openai.OpenAIEmbeddings(
        model="text-embedding-3-small",
        base_url=f"{gateway.url}/v1",
        api_key=gateway.key,
        # Otherwise it fetches a tokenizer from the internet.
        check_embedding_ctx_length=False,
    )
    vectors = embeddings.embed_documents(["one", "two"])
    assert len(vectors) == 2
    assert await embeddings.aembed_query("one") == pytest.approx(vectors[0])
    assert stand_in.calls()["endpoints"] == {"POST /v1/embeddings": 1}, "the cache has it, input by input"
