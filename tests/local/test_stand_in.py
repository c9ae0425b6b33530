"""The OpenAI stand-in: OpenAI's forms, predictable answers, failures on demand, exact counts."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from local.stand_in.text import tokens
from tests.servers import running, until

KEY = "sk-stand-in-key"
MODEL = "gpt-4o-mini"
QUESTION: Any = [{"role": "user", "content": "What is a gateway?"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running("local.stand_in", "--host", "127.0.0.1", "--port", "0", "--key", KEY) as program:
        yield f"http://127.0.0.1:{program.said('serving')['port']}"


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    control(url, "DELETE", "/calls")
    control(url, "DELETE", "/behaviour")
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)


def control(url: str, method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/stand-in{path}", method=method, data=data)  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return json.loads(answer.read())


def ask(client: openai.OpenAI, text: str = "What is a gateway?", model: str = MODEL, **options: Any) -> Any:
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], **options
    )


def test_the_same_question_has_the_same_answer_and_another_another(client: openai.OpenAI) -> None:
    texts = [ask(client, text).choices[0].message.content for text in ("one", "one", "two")]
    assert texts[0] == texts[1] != texts[2]
    assert ask(client, "one", model="gpt-4o").choices[0].message.content != texts[0]


def test_a_stream_says_the_same_as_a_plain_answer(client: openai.OpenAI) -> None:
    plain = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert (
        "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        == plain.choices[0].message.content
    )
    assert (chunks[-1].choices, chunks[-1].usage) == ([], plain.usage)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_tokens_are_counted_plausibly_and_add_up(client: openai.OpenAI) -> None:
    answer = ask(client)
    assert answer.usage.prompt_tokens == 3 + 3 + len(tokens("What is a gateway?"))
    assert answer.usage.completion_tokens == len(tokens(answer.choices[0].message.content))
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert "".join(tokens("It's  a\ntest, überlange Wörter 🙂")) == "It's  a\ntest, überlange Wörter 🙂"


def test_caps_and_choices_are_kept_to(client: openai.OpenAI) -> None:
    short = ask(client, max_completion_tokens=3, n=2)
    assert [choice.finish_reason for choice in short.choices] == ["length", "length"]
    assert short.usage.completion_tokens == 6
    assert short.choices[0].message.content != ask(client, n=2).choices[1].message.content
    assert "gateway" not in ask(client, stop="You asked").choices[0].message.content
    assert json.loads(ask(client, response_format={"type": "json_object"}).choices[0].message.content)


def test_models_are_listed_and_unknown_ones_refused(client: openai.OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL
    for refused in (lambda: client.models.retrieve("nonexistent"), lambda: ask(client, model="nonexistent")):
        with pytest.raises(openai.NotFoundError) as error:
            refused()
        assert (error.value.code, error.value.param) == ("model_not_found", "model")


def test_a_wrong_key_is_refused_and_never_repeated(client: openai.OpenAI, url: str) -> None:
    with pytest.raises(openai.AuthenticationError) as error:
        client.with_options(api_key="sk-wrong-key").models.list()
    assert error.value.code == "invalid_api_key"
    report = control(url, "GET", "/calls")
    assert "sk-wrong-key" not in json.dumps(report)
    assert report["total"] == 1


def test_a_bad_request_is_openais_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=[])
    assert error.value.param == "messages"


def test_calls_are_counted_and_remembered(client: openai.OpenAI, url: str) -> None:
    answer = ask(client, user="someone")
    list(ask(client, stream=True))
    client.models.list()
    report = control(url, "GET", "/calls")
    assert report["endpoints"] == {"POST /v1/chat/completions": 2, "GET /v1/models": 1}
    assert (report["total"], report["running"], report["outcomes"]) == (3, 0, {"answered": 3})
    assert report["total_tokens"] == 2 * answer.usage.total_tokens
    assert json.loads(report["last"][0]["body"])["user"] == "someone"
    assert "authorization" not in report["last"][0]["headers"]
    assert control(url, "DELETE", "/calls") == {}
    assert control(url, "GET", "/calls")["total"] == 0


@pytest.mark.parametrize("way", ["model", "message", "control"])
def test_a_failure_is_asked_for_in_three_ways(client: openai.OpenAI, url: str, way: str) -> None:
    model = "stand-in-429" if way == "model" else MODEL
    text = '#stand-in {"status": 429, "retry_after_ms": 1500} please' if way == "message" else "x"
    if way == "control":
        asked = {"behaviour": {"status": 429, "retry_after_ms": 1500}, "times": 1}
        control(url, "PUT", "/behaviour", asked)
    with pytest.raises(openai.RateLimitError) as error:
        ask(client, text, model=model)
    assert error.value.response.headers["retry-after-ms"] == "1500"
    assert error.value.response.headers["retry-after"] == "2"
    assert ask(client).choices, "the next request is not affected"


def test_a_server_error_is_openais(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        ask(client, model="stand-in-500")


@pytest.mark.parametrize("cut_after", [0, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_connection_is_no_clean_end(
    client: openai.OpenAI, url: str, stream: bool, cut_after: int
) -> None:
    control(url, "PUT", "/behaviour", {"behaviour": {"cut_after": cut_after}})
    # A cut before the status line is a connection error of the SDK's, one within a body its transport's.
    with pytest.raises((openai.APIConnectionError, httpx2.TransportError)):
        list(ask(client, stream=stream))
    assert control(url, "GET", "/calls")["outcomes"] == {"cut": 1}


def test_a_malformed_body_is_not_json(client: openai.OpenAI) -> None:
    with pytest.raises((json.JSONDecodeError, openai.APIError)):
        ask(client, model="stand-in-malformed")


def test_a_client_that_leaves_is_noticed(client: openai.OpenAI, url: str) -> None:
    control(url, "PUT", "/behaviour", {"behaviour": {"delay_ms": 20_000}})
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))
    until(lambda: control(url, "GET", "/calls")["outcomes"] == {"client_gone": 1})


@pytest.mark.parametrize("asked", [{"behaviour": {"unknown": 1}}, {"behaviour": {"delay_ms": "1"}}, {}, []])
def test_what_is_no_behaviour_is_refused(url: str, asked: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        control(url, "PUT", "/behaviour", asked)
    assert error.value.code == 400


def test_without_a_key_any_is_taken() -> None:
    with running("local.stand_in") as program:
        base_url = f"http://127.0.0.1:{program.said('serving')['port']}/v1"
        assert list(openai.OpenAI(base_url=base_url, api_key="sk-any", max_retries=0).models.list())
