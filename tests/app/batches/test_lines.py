"""What a file may cost bounds what its answers can: whatever the requests, whatever is answered of them."""

import asyncio
import json
import math
from fractions import Fraction
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admission.charge import bounds
from app.admission.plan import Scopes
from app.batches import lines
from app.batches.lines import Input, read_input
from app.batches.output import Used
from app.endpoints import CHAT_COMPLETIONS
from app.errors import ApiError
from app.identity import Caller
from app.limits import NO_LIMITS, Limits
from app.models.choice import Models
from app.models.latency import Latencies
from app.prices import Price, Prices, for_batches, parse_prices, read_price, spelled
from app.project_settings import DEFAULT_SETTINGS
from app.upstream.standings import Standings
from tests.app.batches.inputs import jsonl, line

MODEL = "gpt-4o-mini"
PRICES = Prices({})
SCOPES = Scopes("key", NO_LIMITS, "proj", Limits(spend_limit_micro_usd=1), (), "org", NO_LIMITS)
CALLER = Caller("key", "org", "proj", SCOPES, settings=DEFAULT_SETTINGS)

REQUESTS = st.fixed_dictionaries(
    {
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": st.text(max_size=60)}),
            min_size=1,
            max_size=3,
        )
    },
    optional={
        "max_tokens": st.integers(1, 5000),
        "n": st.integers(1, 4),
        "temperature": st.floats(0, 2),
        "stop": st.sampled_from(["\n", ["a", "b"]]),
    },
)


def read(content: bytes, *, resolve: bool = True, prices: Prices = PRICES) -> Input:
    models = Models({}, prices, Standings(Latencies()))
    return asyncio.run(read_input(content, CALLER, models, prices, resolve=resolve))


def file_of(bodies: list[dict[str, Any]]) -> bytes:
    return jsonl(line(number, body={"model": MODEL, **body}) for number, body in enumerate(bodies))


def answer(prompt: int, cached: int, completion: int) -> bytes:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return json.dumps({"custom_id": "x", "response": {"status_code": 200, "body": {"usage": usage}}}).encode()


@given(st.lists(REQUESTS, min_size=1, max_size=8), st.data())
def test_what_is_charged_is_the_usage_at_half_the_price_and_never_above_what_was_held(
    bodies: list[dict[str, Any]], data: st.DataObject
) -> None:
    content = read(file_of(bodies))
    assert content.price is not None
    full = PRICES.price(MODEL)
    assert full is not None
    used = Used()
    expected = 0
    for written in content.content.splitlines():
        # As it goes upstream, which may be shorter than it came.
        request = CHAT_COMPLETIONS.parse(orjson.dumps(orjson.loads(written)["body"]))
        most = bounds(request, full)
        prompt = data.draw(st.integers(0, most.prompt_tokens))
        cached = data.draw(st.integers(0, prompt))
        completion = data.draw(st.integers(0, most.answer_tokens))
        used.add(answer(prompt, cached, completion), CHAT_COMPLETIONS, content.price)
        [(_, rates)] = full.steps
        pico = (prompt - cached) * rates.prompt + cached * rates.cached + completion * rates.completion
        expected += math.ceil(Fraction(pico, 2 * 1_000_000))
    assert used.micro_usd == expected <= content.micro_usd
    assert (used.requests, used.untold) == (len(bodies), False)
    assert sum(used.shares) <= used.micro_usd
    assert sum(content.shares) <= content.micro_usd


@given(st.lists(REQUESTS, min_size=1, max_size=8))
def test_a_file_that_went_upstream_is_read_back_as_it_is(bodies: list[dict[str, Any]]) -> None:
    first = read(file_of(bodies))
    again = read(first.content, resolve=False)
    assert again == first
    sent = [json.loads(one) for one in first.content.splitlines()]
    assert [one["body"] for one in sent] == [{"model": MODEL, **body} for body in bodies]


def test_a_file_has_so_many_requests_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_REQUESTS", 3)
    assert read(jsonl(line(number) for number in range(3))).requests == 3
    with pytest.raises(ApiError, match="more than 3 requests"):
        read(jsonl(line(number) for number in range(4)))


def test_a_key_that_comes_twice_reaches_the_upstream_once() -> None:
    body = '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"x"}],"max_tokens":9,"max_tokens":5}'
    sent = read(f'{{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{body}}}'.encode())
    assert sent.content.count(b"max_tokens") == 1
    assert json.loads(sent.content)["body"]["max_tokens"] == 5


def test_blank_lines_and_windows_line_ends_are_nothing() -> None:
    content = b"\r\n\r\n".join(json.dumps(line(number)).encode() for number in range(3)) + b"\r\n\n"
    assert read(content).requests == 3


def test_what_failed_used_nothing_and_an_answer_without_usage_is_untold() -> None:
    used, price = Used(), PRICES.price(MODEL)
    failed = b'{"response":{"status_code":400,"body":{"error":{}}},"error":null}'
    for written in (b'{"response":null,"error":{"code":"batch_expired"}}', failed, answer(1, 0, 1)):
        used.add(written, CHAT_COMPLETIONS, price)
    assert (used.requests, used.untold) == (1, False)
    for written in (b"{}", b"no JSON", b'{"response":{"status_code":200,"body":{}}}', b"[]"):
        used.add(written, CHAT_COMPLETIONS, price)
    assert (used.requests, used.untold) == (5, True)


def test_a_price_is_kept_as_it_is() -> None:
    own = parse_prices('{"mine": {"input": "0.000001", "output": "1.25", "max_output_tokens": 7}}')["mine"]
    half = for_batches(own)
    assert (half.steps[0][1].prompt, half.steps[0][1].completion, half.answer_tokens) == (1, 625_000, 7)
    tiered = PRICES.price("gpt-5.4")
    kept: list[Price] = [own, half, *([] if tiered is None else [tiered])]
    assert [read_price(spelled(price)) for price in kept] == kept
