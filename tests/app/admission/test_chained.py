"""Whichever model of a chain answers, what is charged was held; and no less is held than that."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.admission.chained import answered, reservation, with_given_up
from app.admission.charge import bounds
from app.endpoints import CHAT_COMPLETIONS
from app.endpoints.endpoint import ApiRequest, Chain
from app.prices import Prices
from app.usage import Usage

PRICES = Prices({})
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "gpt-5-mini")
NOTHING = Usage(0, 0, 0)


def a_request(**fields: Any) -> ApiRequest:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello " * 20}], **fields}
    return CHAT_COMPLETIONS.parse(json.dumps(body).encode())


@st.composite
def courses(draw: st.DrawFn) -> tuple[ApiRequest, Chain, Usage]:
    """A request, how far its chain came, and what the upstream said of the one that answered."""
    bound = draw(st.none() | st.integers(1, 5000))
    fields = {} if bound is None else {"max_completion_tokens": bound}
    request = a_request(n=draw(st.integers(1, 4)), stream=draw(st.booleans()), **fields)
    models = tuple(draw(st.lists(st.sampled_from(MODELS), min_size=1, unique=True)))
    patience_s = draw(st.none() | st.floats(0.1, 30))
    reached = draw(st.integers(0, len(models) - 1))
    slow = () if patience_s is None else draw(st.sets(st.sampled_from(range(reached)))) if reached else ()
    chain = Chain(
        "alias",
        models,
        patience_s,
        answering=models[reached],
        given_up=tuple((models[index], patience_s or 0.0) for index in sorted(slow)),
    )
    most, _ = answered(request, chain, PRICES)
    prompt = draw(st.integers(0, most.prompt_tokens))
    completion = draw(st.integers(0, most.answer_tokens))
    return request, chain, Usage(prompt, completion, prompt + completion)


@given(courses())
def test_what_is_charged_was_held(course: tuple[ApiRequest, Chain, Usage]) -> None:
    request, chain, usage = course
    held, held_micro_usd = reservation(request, chain, PRICES)
    _, price = answered(request, chain, PRICES)
    assert price is not None
    charged, micro_usd = with_given_up(usage, price.cost(usage), request, chain, PRICES)
    assert charged.prompt_tokens <= held.prompt_tokens
    assert charged.completion_tokens <= held.answer_tokens
    assert micro_usd <= held_micro_usd
    assert charged.estimated == bool(chain.given_up)


@given(courses())
def test_no_more_is_held_than_could_be_charged(course: tuple[ApiRequest, Chain, Usage]) -> None:
    request, chain, _ = course
    _, held_micro_usd = reservation(request, chain, PRICES)
    each = []
    for model in chain.models:
        price = PRICES.price(model)
        assert price is not None
        most = bounds(request, price)
        each.append(price.bound(most.prompt_tokens, most.answer_tokens))
    assert held_micro_usd == (max(each) if chain.first_byte_within_s is None else sum(each))


def test_one_that_was_given_up_is_charged_by_its_time_at_its_own_price() -> None:
    request = a_request(max_completion_tokens=1000)
    chain = Chain("alias", ("o3", "gpt-4o-mini"), 2.0, answering="gpt-4o-mini", given_up=(("o3", 2.0),))
    usage, micro_usd = with_given_up(NOTHING, 0, request, chain, PRICES)
    assert (usage.completion_tokens, usage.prompt_tokens > 0) == (400, True)
    dear = PRICES.price("o3")
    assert dear is not None
    assert micro_usd == dear.cost(usage)


def test_what_has_no_price_is_held_by_its_tokens_alone() -> None:
    request = a_request(max_completion_tokens=1000)
    held, micro_usd = reservation(request, Chain("alias", ("unheard-of",), None, "unheard-of"), PRICES)
    assert (held.answer_tokens, micro_usd) == (1000, 0)
