"""From the name in a request to the models that may answer it, in the order in which they are asked."""

import json
from typing import Any

import pytest

from app.admission.plan import Scopes
from app.endpoints import CHAT_COMPLETIONS, EMBEDDINGS, ApiRequest
from app.errors import ApiError
from app.identity import Caller
from app.limits import NO_LIMITS, Limits
from app.models.alias import parse_aliases
from app.models.choice import Models
from app.models.latency import Latencies, kind_of
from app.prices import Prices
from app.project_settings import check_settings
from app.upstream.standings import Standings

PRICES = Prices({})
STACK = {
    "fast": "gpt-5-mini",
    "best": ["gpt-5", "gpt-4.1", "gpt-4o"],
    "cheap": {"models": ["gpt-4o", "gpt-4o-mini", "unheard-of"], "order": "cheapest"},
    "quick": {"models": ["gpt-4o", "gpt-4.1", "gpt-4o-mini"], "order": "fastest", "first_byte_within_s": 2},
    "gpt-4o": ["gpt-4o", "gpt-4.1"],
    "vectors": ["text-embedding-3-small", "text-embedding-3-large"],
}


def a_caller(limits: Limits = NO_LIMITS, **settings: Any) -> Caller:
    scopes = Scopes("key_1", NO_LIMITS, "proj_1", limits, (), "org-1", NO_LIMITS)
    return Caller("key_1", "org-1", "proj_1", scopes, settings=check_settings(settings))


def the_models(standings: Standings | None = None) -> Models:
    return Models(parse_aliases(json.dumps(STACK)), PRICES, standings or Standings(Latencies(lambda: 0.999)))


def a_request(model: str, **fields: Any) -> ApiRequest:
    body = {"messages": [{"role": "user", "content": "tell"}], "model": model, **fields}
    return CHAT_COMPLETIONS.parse(json.dumps(body).encode())


def chosen(model: str, caller: Caller | None = None, standings: Standings | None = None) -> tuple[str, ...]:
    request = the_models(standings).choose(a_request(model), caller or a_caller())
    assert request.chain is not None
    assert request.chain.models[0] == request.model == json.loads(request.body)["model"]
    return request.chain.models


def test_a_model_that_stands_for_nothing_else_is_asked_as_it_is() -> None:
    request = a_request("gpt-4.1")
    assert the_models().choose(request, a_caller()) is request


def test_an_alias_becomes_its_model_and_no_other_byte_changes() -> None:
    request = a_request("fast")
    asked = the_models().choose(request, a_caller())
    assert asked.body == request.body.replace(b'"fast"', b'"gpt-5-mini"')
    assert asked.model == "gpt-5-mini"


def test_a_project_has_aliases_of_its_own_before_the_stacks() -> None:
    assert chosen("fast", a_caller(model_aliases={"fast": "gpt-4.1-nano"})) == ("gpt-4.1-nano",)
    assert chosen("best", a_caller(model_aliases={"fast": "gpt-4.1-nano"})) == ("gpt-5", "gpt-4.1", "gpt-4o")


@pytest.mark.parametrize("tier", [["flex"], {"flex": 1}, 5, "nonsense"])
def test_a_service_tier_that_is_none_is_left_to_the_upstream(tier: object) -> None:
    body = {"input": "x", "model": "vectors", "service_tier": tier}
    request = EMBEDDINGS.parse(json.dumps(body).encode())
    governed = a_caller(Limits(spend_limit_micro_usd=1))
    assert the_models().choose(request, governed).model == "text-embedding-3-small"


def test_a_model_may_have_others_that_stand_in_for_it() -> None:
    assert chosen("gpt-4o") == ("gpt-4o", "gpt-4.1")


@pytest.mark.parametrize("model", ["fast", "best", "gpt-4.1-nano"])
def test_what_a_project_may_not_use_is_refused_as_openai_refuses_it(model: str) -> None:
    caller = a_caller(model_permissions={"mode": "allow_list", "model_ids": ["o3"]})
    with pytest.raises(ApiError) as refused:
        the_models().choose(a_request(model), caller)
    assert (refused.value.status, refused.value.code) == (403, "model_not_found")
    assert refused.value.message.startswith(f"Project `proj_1` does not have access to model `{model}`")
    with pytest.raises(ApiError, match="does not have access"):
        the_models().check(model, caller)


def test_of_an_alias_only_those_answer_that_the_project_may_use() -> None:
    denied = a_caller(model_permissions={"mode": "deny_list", "model_ids": ["gpt-5"]})
    assert chosen("best", denied) == ("gpt-4.1", "gpt-4o")
    the_models().check("best", denied)


def test_under_a_budget_only_those_answer_that_have_a_price() -> None:
    assert chosen("cheap") == ("gpt-4o-mini", "gpt-4o", "unheard-of")
    assert chosen("cheap", a_caller(Limits(spend_limit_micro_usd=1))) == ("gpt-4o-mini", "gpt-4o")


def test_under_a_budget_none_answers_that_searches_for_a_fee() -> None:
    own = {"a": ["gpt-4o-search-preview", "gpt-4o"], "b": ["gpt-4o", "gpt-5-search-api"]}
    limited = a_caller(Limits(spend_limit_micro_usd=1), model_aliases=own)
    assert chosen("a", a_caller(model_aliases=own)) == ("gpt-4o-search-preview", "gpt-4o")
    assert chosen("a", limited) == chosen("b", limited) == ("gpt-4o",)


def test_what_follows_from_the_model_follows_from_the_one_that_is_asked() -> None:
    caller = a_caller(model_aliases={"news": "gpt-5-search-api", "gpt-9-search-api": "gpt-4o"})
    searching = the_models().choose(a_request("news"), caller)
    assert (searching.unbounded_param, searching.prompt_bound_tokens) == ("model", None)
    plain = the_models().choose(a_request("gpt-9-search-api"), caller)
    assert plain.unbounded_param is None
    assert plain.prompt_bound_tokens


def test_the_cheapest_is_the_one_that_costs_least_for_this_request() -> None:
    own = {"a": {"models": ["gpt-4o", "o3", "gpt-4.1-nano"], "order": "cheapest"}}
    assert chosen("a", a_caller(model_aliases=own))[0] == "gpt-4.1-nano"


def test_the_fastest_by_measurement_is_asked_first_and_the_slowest_last() -> None:
    standings = Standings(Latencies(lambda: 0.999))
    for model, seconds in {"gpt-4o": 0.5, "gpt-4.1": 0.9, "gpt-4o-mini": 0.2}.items():
        standings.latencies.began(model, kind_of("/chat/completions", stream=False), seconds)
    assert chosen("quick", standings=standings) == ("gpt-4o-mini", "gpt-4o", "gpt-4.1")
    assert chosen("best", standings=standings) == ("gpt-5", "gpt-4.1", "gpt-4o"), "as given"


@pytest.mark.parametrize("alias", ["best", "cheap", "quick"])
def test_one_that_has_just_failed_is_asked_last_whatever_the_order(alias: str) -> None:
    standings = Standings(Latencies(lambda: 0.999))
    first = chosen(alias, standings=standings)[0]
    standings.failed(first)
    assert chosen(alias, standings=standings)[-1] == first


def test_how_long_each_may_take_to_begin_comes_with_the_chain() -> None:
    request = the_models().choose(a_request("quick"), a_caller())
    assert request.chain is not None
    assert request.chain.first_byte_within_s == 2
    assert request.chain.answering == request.model


def test_embeddings_are_never_those_of_another_model() -> None:
    request = EMBEDDINGS.parse(b'{"model":"vectors","input":"x"}')
    standings = Standings(Latencies(lambda: 0.999))
    standings.failed("text-embedding-3-small")
    asked = the_models(standings).choose(request, a_caller())
    assert asked.chain is not None
    assert asked.chain.models == ("text-embedding-3-small",)


def test_the_aliases_shown_are_no_models_and_lead_to_one_that_the_project_may_use() -> None:
    caller = a_caller(
        model_permissions={"mode": "allow_list", "model_ids": ["gpt-4o", "o3"]}, model_aliases={"own": "o3"}
    )
    assert the_models().aliases(caller) == ("best", "cheap", "quick", "own")
