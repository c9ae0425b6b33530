"""Aliases, permissions, caps, fallbacks and routing through a whole gateway, seen by the official SDK."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from app.limits import Limits
from app.project_settings import check_settings
from app.usage import Usage
from tests.app.accounts import MODEL, PRICES, Account
from tests.app.conftest import Aws, Gateway, StandIn, StartGateway
from tests.servers import ValkeyServer, until

ALIASES = {
    "fast": MODEL,
    "best": ["stand-in-429", MODEL],
    "sturdy": ["stand-in-500", "stand-in-429", MODEL],
    "patient": {"models": ["stand-in-slow", MODEL], "first_byte_within_s": 0.2},
    "unlucky": {"models": ["stand-in-slow", "stand-in-500"], "first_byte_within_s": 0.1},
    "hopeless": ["stand-in-429", "stand-in-500"],
    "cut": ["stand-in-cut", MODEL],
    "frugal": {"models": ["gpt-4o", MODEL], "order": "cheapest"},
    "quick": {"models": ["stand-in-slow", MODEL], "order": "fastest"},
}
STAND_INS = ("stand-in-429", "stand-in-500", "stand-in-slow", "stand-in-cut")
DEAR = {"input": "50", "output": "100", "max_output_tokens": 1000}


VARIABLES = {
    "GATEWAY_MODEL_ALIASES": json.dumps(ALIASES),
    "GATEWAY_MODEL_PRICES": json.dumps(dict.fromkeys(STAND_INS, DEAR)),
    # A comment before an answer sends the headers before anybody knows who answers.
    "GATEWAY_PING_INTERVAL_S": "5",
}


@pytest.fixture(scope="module")
def gateway(start_gateway: StartGateway) -> Iterator[Gateway]:
    with start_gateway(**VARIABLES) as gateway:
        yield gateway


def a_project(aws: Aws, **settings: Any) -> Account:
    account = Account(aws)
    account.choose(check_settings(settings))
    return account


def messages() -> Any:
    return [{"role": "user", "content": f"{uuid.uuid4()}"}]


def ask(gateway: Gateway, model: str, key: str | None = None, **fields: Any) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/v1/chat/completions",
        json={"model": model, "messages": messages(), "max_tokens": 5, **fields},
        headers={"authorization": f"Bearer {key or gateway.key}"},
        timeout=15,
    )


def models_asked(stand_in: StandIn) -> list[str]:
    return [json.loads(call["body"])["model"] for call in stand_in.calls()["last"]]


def line(gateway: Gateway, answer: httpx2.Response) -> dict[str, Any]:
    return gateway.program.said("request", request_id=answer.headers["x-request-id"])


def test_an_alias_asks_its_model_and_the_answer_names_that(gateway: Gateway, stand_in: StandIn) -> None:
    raw = gateway.sdk().chat.completions.with_raw_response.create(model="fast", messages=messages())
    assert raw.headers["x-gateway-model"] == MODEL
    assert raw.parse().model.startswith(MODEL)
    assert models_asked(stand_in) == [MODEL]


def test_a_model_by_its_own_name_goes_on_byte_for_byte(gateway: Gateway, stand_in: StandIn) -> None:
    answer = ask(gateway, MODEL)
    assert "x-gateway-model" not in answer.headers
    assert stand_in.last_call()["body"] == answer.request.content.decode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("alias", ["best", "sturdy"])
def test_when_one_model_cannot_answer_the_next_does(
    gateway: Gateway, stand_in: StandIn, alias: str, stream: bool
) -> None:
    answer = ask(gateway, alias, stream=stream)
    assert (answer.status_code, answer.headers["x-gateway-model"]) == (200, MODEL)
    assert models_asked(stand_in)[-1] == MODEL
    logged = line(gateway, answer)
    assert (logged["alias"], logged["model"]) == (alias, MODEL)

    def answered_at_once() -> bool:
        stand_in.reset()
        assert ask(gateway, alias, stream=stream).headers["x-gateway-model"] == MODEL
        return models_asked(stand_in) == [MODEL]

    until(answered_at_once, 15.0, "a request that does not try first what has just failed")


def test_there_is_a_fallback_even_when_each_request_is_the_first_to_find_out(
    gateway: Gateway, stand_in: StandIn, aws: Aws
) -> None:
    account = a_project(aws, model_aliases={"both": ["gpt-4o", MODEL]})
    for _ in range(40):
        stand_in.behave(status=429, retry_after_ms=0, times=1)
        assert ask(gateway, "both", account.key).status_code == 200
    asked = models_asked(stand_in)
    assert all(set(asked[first : first + 2]) == {"gpt-4o", MODEL} for first in range(0, 80, 2))


@pytest.mark.parametrize("stream", [False, True])
def test_when_none_can_answer_the_last_ones_refusal_is_passed_on(
    gateway: Gateway, stand_in: StandIn, stream: bool
) -> None:
    answer = ask(gateway, "hopeless", stream=stream)
    assert answer.status_code in (429, 500)
    assert {"stand-in-429", "stand-in-500"} <= set(models_asked(stand_in))


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_does_not_begin_in_time_is_given_up_and_charged_by_its_time(
    start_gateway: StartGateway, aws: Aws, stand_in: StandIn, stream: bool
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**9))
    # Of its own, where nobody has found the slow one out yet.
    with start_gateway(**VARIABLES) as gateway:
        answer = ask(gateway, "patient", account.key, stream=stream, max_tokens=100)
    assert (answer.status_code, answer.headers["x-gateway-model"]) == (200, MODEL)
    until(lambda: stand_in.calls()["outcomes"].get("client_gone"), what="the end of the slow one's work")
    [record] = account.recorded(1).values()
    assert (record["model"], record["outcome"], record["estimated"]) == (MODEL, "answered", True)
    # 0.2 s at 200 tokens a second, at its own price of 100 dollars for a million.
    assert record["micro_usd"] >= 40 * 100
    assert record["completion_tokens"] >= 40


def test_what_was_given_up_is_charged_though_nobody_answered(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**9))
    refused = ask(gateway, "unlucky", account.key, max_tokens=100)
    assert refused.status_code == 500
    assert models_asked(stand_in)[:2] == ["stand-in-slow", "stand-in-500"]
    [record] = account.recorded(1).values()
    assert record["micro_usd"] >= 20 * 100
    assert record["estimated"]


def test_once_an_answer_has_begun_no_other_model_is_asked(gateway: Gateway, stand_in: StandIn) -> None:
    answer = ask(gateway, "cut", stream=True)
    assert '"code":"upstream_cut"' in answer.text
    assert answer.headers["x-gateway-model"] == "stand-in-cut"
    assert models_asked(stand_in) == ["stand-in-cut"]


async def test_a_budget_is_exact_whichever_model_answers(
    gateway: Gateway, aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    account = Account(aws, Limits(spend_limit_micro_usd=10**9))
    async with gateway.async_sdk(account.key) as client:
        for alias in ("best", "fast", "frugal", "sturdy", "hopeless"):
            for _ in range(4):
                refused = pytest.raises(openai.APIStatusError)
                with refused if alias == "hopeless" else contextlib.nullcontext():
                    await client.chat.completions.create(model=alias, messages=messages(), max_tokens=20)
    price = PRICES.price(MODEL)
    assert price is not None
    answered = [call for call in stand_in.calls()["last"] if call["total_tokens"]]
    assert {json.loads(call["body"])["model"] for call in answered} == {MODEL}
    spent = sum(
        price.cost(Usage(call["prompt_tokens"], call["completion_tokens"], call["total_tokens"]))
        for call in answered
    )
    records = account.recorded(len(answered))
    assert len(records) == len(answered) == 16
    assert sum(record["micro_usd"] for record in records.values()) == spent
    assert {record["model"] for record in records.values()} == {MODEL}
    budget = f"b:p:{account.project_id}"
    until(lambda: account.budgets(valkey)[budget] == (spent, 0), what="all holds to be given back")


async def test_of_many_at_once_no_more_is_spent_than_the_budget_whichever_model_answers(
    gateway: Gateway, aws: Aws, stand_in: StandIn, valkey: ValkeyServer
) -> None:
    # The first calls fail, so that the second model answers some and the first, well again, the others.
    prices = [price for model in ("gpt-4o", MODEL) if (price := PRICES.price(model)) is not None]
    account = Account(aws, Limits(spend_limit_micro_usd=20_000))
    account.choose(check_settings({"model_aliases": {"both": ["gpt-4o", MODEL]}}))
    stand_in.behave(status=500, times=15)

    async def one(client: openai.AsyncOpenAI) -> bool:
        try:
            await client.chat.completions.create(model="both", messages=messages(), max_tokens=50)
        except openai.APIStatusError:
            return False
        return True

    async with gateway.async_sdk(account.key) as client:
        answered = sum(await asyncio.gather(*(one(client) for _ in range(60))))
    calls = [call for call in stand_in.calls()["last"] if call["total_tokens"]]
    assert 0 < answered == len(calls) < 60
    by_model = dict(zip(("gpt-4o", MODEL), prices, strict=True))
    spent = sum(
        by_model[json.loads(call["body"])["model"]].cost(
            Usage(call["prompt_tokens"], call["completion_tokens"], call["total_tokens"])
        )
        for call in calls
    )
    assert spent <= 20_000
    assert {json.loads(call["body"])["model"] for call in calls} == {"gpt-4o", MODEL}
    budget = f"b:p:{account.project_id}"
    until(lambda: account.budgets(valkey)[budget] == (spent, 0), what="all holds to be given back")
    records = account.recorded(answered)
    assert sum(record["micro_usd"] for record in records.values()) == spent


def test_a_budget_holds_the_dearest_model_of_a_chain(gateway: Gateway, aws: Aws) -> None:
    # Five tokens at 100 dollars a million are 500 micro-dollars: less than that cannot go to the dear one.
    account = Account(aws, Limits(spend_limit_micro_usd=400))
    assert ask(gateway, "fast", account.key).status_code == 200
    refused = ask(gateway, "best", account.key)
    assert refused.json()["error"]["code"] == "project_spend_limit_exceeded"


def test_a_request_counts_against_the_limit_of_every_model_that_may_answer(
    gateway: Gateway, aws: Aws
) -> None:
    account = Account(aws)
    account.limit_model(MODEL, Limits(requests_per_minute=1))
    assert ask(gateway, "best", account.key).status_code == 200
    refused = ask(gateway, MODEL, account.key)
    assert refused.status_code == 429
    assert f"{MODEL} in project {account.project_id}" in refused.json()["error"]["message"]


def test_an_answer_of_a_fallback_is_not_kept_for_the_model_that_could_not(
    gateway: Gateway, stand_in: StandIn, aws: Aws
) -> None:
    account = a_project(aws, model_aliases={"own": ["stand-in-429", MODEL]})

    def fell_back() -> Any:
        stand_in.reset()
        asked = messages()
        assert ask(gateway, "own", account.key, temperature=0, messages=asked).status_code == 200
        return asked if models_asked(stand_in) == ["stand-in-429", MODEL] else None

    asked = until(fell_back, 10.0, "the first model to be asked first")
    # While it cools down, the request is one to the second model, and so is its place in the cache.
    assert ask(gateway, "own", account.key, temperature=0, messages=asked).headers["x-cache"] == "miss"
    again = ask(gateway, "own", account.key, temperature=0, messages=asked)
    assert (again.headers["x-cache"], again.headers["x-gateway-model"]) == ("hit", MODEL)
    assert ask(gateway, MODEL, account.key, temperature=0, messages=asked).headers["x-cache"] == "hit"

    def asked_again() -> bool:
        ask(gateway, "own", account.key, temperature=0, messages=asked)
        return models_asked(stand_in).count("stand-in-429") == 2

    until(asked_again, 10.0, "the first model to be asked again")


def test_a_project_uses_only_what_it_may(gateway: Gateway, aws: Aws, stand_in: StandIn) -> None:
    allowed = {"mode": "allow_list", "model_ids": [MODEL, "text-embedding-3-small"]}
    account = a_project(aws, model_permissions=allowed, model_aliases={"mine": "o3"})
    client = gateway.sdk(account.key)
    for model in ("gpt-4o", "mine"):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(model=model, messages=messages())
        assert refused.value.code == "model_not_found"
        assert f"Project `{account.project_id}` does not have access to model `{model}`" in str(refused.value)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.retrieve("gpt-4o")
    assert stand_in.calls()["total"] == 0
    # Of an alias only those answer that it may use: nothing is asked of the other.
    assert client.chat.completions.create(model="best", messages=messages()).model.startswith(MODEL)
    assert models_asked(stand_in) == [MODEL]
    listed = {model.id for model in client.models.list()}
    with_it = {name for name, alias in ALIASES.items() if MODEL in (alias, *_models(alias))}
    assert listed == {MODEL, "text-embedding-3-small"} | with_it
    assert client.models.retrieve("fast").owned_by == "gateway"
    assert client.models.retrieve(MODEL).owned_by == "stand-in"


def _models(alias: Any) -> list[str]:
    return alias["models"] if isinstance(alias, dict) else alias if isinstance(alias, list) else []


def test_everybody_is_shown_the_aliases(gateway: Gateway) -> None:
    listed = [model.id for model in gateway.sdk().models.list()]
    assert MODEL in listed
    assert listed[-len(ALIASES) :] == list(ALIASES)


def test_a_request_that_names_no_model_gets_the_projects(
    gateway: Gateway, aws: Aws, stand_in: StandIn
) -> None:
    small = "text-embedding-3-small"
    account = a_project(aws, default_model="fast", default_embedding_model=small)
    client = gateway.sdk(account.key)
    client.post("/chat/completions", cast_to=object, body={"messages": messages()})
    client.post("/responses", cast_to=object, body={"model": None, "input": "tell"})
    client.post("/embeddings", cast_to=object, body={"input": f"{uuid.uuid4()}"})
    assert models_asked(stand_in) == [MODEL, MODEL, small]
    with pytest.raises(openai.BadRequestError, match="model is missing"):
        client.post("/completions", cast_to=object, body={"prompt": "tell"})
    with pytest.raises(openai.BadRequestError, match="model is missing"):
        gateway.sdk().post("/chat/completions", cast_to=object, body={"messages": messages()})


CAPS = {
    "max_tokens": 200,
    "n": 2,
    "best_of": 3,
    "stop": 2,
    "input_bytes": 2000,
    "default_max_tokens": 50,
    "default_stop": ["END"],
}


@pytest.fixture
def capped(gateway: Gateway, aws: Aws) -> openai.OpenAI:
    return gateway.sdk(a_project(aws, caps=CAPS).key)


def test_caps_of_chat_completions(capped: openai.OpenAI, stand_in: StandIn) -> None:
    create = capped.chat.completions.create
    create(model=MODEL, messages=messages(), n=2, max_tokens=200, stop=["a", "b"])
    sent = json.loads(stand_in.last_call()["body"])
    assert (sent["n"], sent["max_tokens"], sent["stop"]) == (2, 200, ["a", "b"])
    assert "max_completion_tokens" not in sent
    for wrong in ({"n": 3}, {"max_tokens": 201}, {"max_completion_tokens": 201}, {"stop": ["a", "b", "c"]}):
        [field] = wrong
        with pytest.raises(openai.BadRequestError, match=f"{field} .* project proj_.* caps it at") as refused:
            create(model=MODEL, messages=messages(), **wrong)
        assert refused.value.param == field
    with pytest.raises(openai.APIStatusError, match="2000 bytes") as large:
        create(model=MODEL, messages=[{"role": "user", "content": "x" * 2000}])
    assert large.value.status_code == 413
    create(model=MODEL, messages=messages())
    sent = json.loads(stand_in.last_call()["body"])
    assert (sent["max_completion_tokens"], sent["stop"]) == (50, ["END"])
    with create(model=MODEL, messages=messages(), stream=True) as stream:
        list(stream)
    sent = json.loads(stand_in.last_call()["body"])
    assert (sent["max_completion_tokens"], sent["stream_options"]) == (50, {"include_usage": True})
    assert stand_in.calls()["total"] == 3, "what was refused was not asked"


def test_caps_of_responses(capped: openai.OpenAI, stand_in: StandIn) -> None:
    capped.responses.create(model=MODEL, input="tell", max_output_tokens=200)
    with pytest.raises(openai.BadRequestError, match="max_output_tokens is 201, and project"):
        capped.responses.create(model=MODEL, input="tell", max_output_tokens=201)
    capped.responses.create(model=MODEL, input="tell")
    sent = json.loads(stand_in.last_call()["body"])
    assert sent["max_output_tokens"] == 50
    assert "stop" not in sent


def test_caps_of_completions(capped: openai.OpenAI, stand_in: StandIn) -> None:
    create = capped.completions.create
    create(model="gpt-3.5-turbo-instruct", prompt="tell", n=2, best_of=3, max_tokens=200)
    for wrong in ({"n": 3}, {"best_of": 4}, {"max_tokens": 201}, {"stop": ["a", "b", "c"]}):
        [field] = wrong
        with pytest.raises(openai.BadRequestError, match=f"{field} .* caps it at") as refused:
            create(model="gpt-3.5-turbo-instruct", prompt="tell", **wrong)
        assert refused.value.param == field
    create(model="gpt-3.5-turbo-instruct", prompt="tell")
    sent = json.loads(stand_in.last_call()["body"])
    assert (sent["max_tokens"], sent["stop"]) == (50, ["END"])


def test_embeddings_and_moderations_are_capped_by_their_size_alone(
    capped: openai.OpenAI, stand_in: StandIn
) -> None:
    text = f"{uuid.uuid4()}"
    capped.embeddings.create(model="text-embedding-3-small", input=text)
    sent = json.loads(stand_in.last_call()["body"])
    assert sent.keys() == {"model", "input", "encoding_format"}
    capped.moderations.create(input=text)
    assert json.loads(stand_in.last_call()["body"]).keys() == {"input"}
    for call in (capped.embeddings.create, capped.moderations.create):
        with pytest.raises(openai.APIStatusError, match="2000 bytes"):
            call(model="text-embedding-3-small", input="x" * 2000)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_has_the_time_that_the_project_caps_it_at(
    gateway: Gateway, aws: Aws, stand_in: StandIn, stream: bool
) -> None:
    key = a_project(aws, caps={"timeout_s": 0.3}).key
    answer = ask(gateway, "stand-in-slow", key, stream=stream)
    assert '"upstream_timeout"' in answer.text
    assert "after 0.3 s, that the project caps its answers at." in answer.text
    until(lambda: stand_in.calls()["outcomes"].get("client_gone"), what="the end of its work")


def test_the_fastest_model_is_found_by_measuring(start_gateway: StartGateway, stand_in: StandIn) -> None:
    with start_gateway(**VARIABLES) as gateway:
        answers = [ask(gateway, "quick") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    asked = models_asked(stand_in)
    assert asked[0] == "stand-in-slow", "nothing is known yet: in the order given"
    assert asked.count(MODEL) > asked.count("stand-in-slow")
