"""What is reserved for a request, what it is charged, and how a refusal is told."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.admission import refusals
from app.admission.charge import bounds, estimate
from app.admission.plan import Plan, Scopes, costs, plan
from app.admission.script import Terms, Verdict
from app.endpoints import CHAT_COMPLETIONS, EMBEDDINGS, ApiRequest
from app.limits import NO_LIMITS, Limits, limits_attributes, parse_limits
from app.owners import parse_owners
from app.prices import Prices

PRICE = Prices({}).price("gpt-4o-mini")
NOW_MS = 1_796_079_599_000  # 2026-11-30 22:59:59 UTC


def chat(**fields: Any) -> ApiRequest:
    given = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], **fields}
    return CHAT_COMPLETIONS.parse(json.dumps(given).encode())


def test_an_answer_without_a_bound_is_reserved_as_the_models_longest() -> None:
    most = bounds(chat(n=3), PRICE)
    assert (most.answer_tokens, most.given) == (3 * 16_384, False)
    assert bounds(chat(max_tokens=7, n=3), PRICE).answer_tokens == 21


def test_a_prompt_kept_elsewhere_is_reserved_as_the_models_context() -> None:
    part = {"type": "file", "file": {"file_id": "file-1"}}
    most = bounds(chat(messages=[{"role": "user", "content": [part]}], max_tokens=7), PRICE)
    assert (most.prompt_tokens, most.given) == (128_000, False)


def test_an_embedding_has_no_answer() -> None:
    request = EMBEDDINGS.parse(b'{"model": "text-embedding-3-small", "input": "hello"}')
    assert bounds(request, PRICE).answer_tokens == 0


def test_an_estimate_is_marked_and_never_above_what_was_reserved() -> None:
    whole = chat(max_tokens=50)
    most = bounds(whole, PRICE)
    by_time = estimate(whole, most, 0, unseen_s=0.1)
    assert (by_time.completion_tokens, by_time.estimated) == (20, True)
    assert estimate(whole, most, 0, unseen_s=100).completion_tokens == 50
    streamed = chat(max_tokens=50, stream=True)
    by_events = estimate(streamed, most, 11, unseen_s=0)
    assert by_events.completion_tokens == 11
    assert estimate(streamed, most, 11, unseen_s=0.1).completion_tokens == 31, "what it thought is not seen"
    assert 0 < by_events.prompt_tokens <= most.prompt_tokens


def one_plan(project: Limits = NO_LIMITS, organization: Limits = NO_LIMITS) -> Plan:
    return plan(Scopes("k", Limits(requests_per_minute=9), "p", project, (), "org", organization), None)


def test_a_request_that_bounds_itself_is_asked_for_in_full_and_another_for_the_whole_limit_at_most() -> None:
    which = one_plan(Limits(tokens_per_minute=100, burst_tokens=20))
    assert costs(which, 500, bounded=True) == [1, 500]
    assert costs(which, 500, bounded=False) == [1, 120]


def told(which: Plan, refused: Any, number: int, wait_ms: int) -> tuple[str, dict[str, str]]:
    terms = Terms(which, 500, True, 250_000, 1000, b"")
    standings = [(0, 0) for _ in which.rates]
    error = refusals.refusal(terms, Verdict(None, refused, number, wait_ms, NOW_MS, standings))
    assert error.status == 429
    return str(error.code), {name.decode(): value.decode() for name, value in error.headers}


def test_a_refusal_says_when_to_come_back() -> None:
    which = one_plan(
        Limits(tokens_per_minute=100, concurrent_requests=2, spend_limit_micro_usd=10**6),
        Limits(spend_limit_micro_usd=10**6),
    )
    assert told(which, "limit", 0, 1500) == (
        "rate_limit_exceeded",
        {"retry-after": "2", "retry-after-ms": "1500"},
    )
    assert told(which, "limit", 1, -1) == ("rate_limit_exceeded", {"x-should-retry": "false"})
    soon = {"retry-after": "1", "retry-after-ms": "1000"}
    assert told(which, "held", 1, -2) == ("rate_limit_exceeded", soon)
    assert told(which, "count", 0, -2) == ("rate_limit_exceeded", {**soon, "x-should-retry": "true"})
    month = {"retry-after": "3601", "x-should-retry": "false"}
    assert told(which, "budget", 0, -1) == ("project_spend_limit_exceeded", month)
    assert told(which, "budget", 1, -1) == ("organization_spend_limit_exceeded", month)
    assert told(which, "reserved", 1, -2) == (
        "organization_spend_limit_exceeded",
        {**soon, "x-should-retry": "true"},
    )


@pytest.mark.parametrize(("month", "following"), [(1, (2026, 2)), (11, (2026, 12)), (12, (2027, 1))])
def test_a_month_ends_when_the_next_begins(month: int, following: tuple[int, int]) -> None:
    now = datetime(2026, month, 15, tzinfo=UTC)
    assert refusals.month_end(int(now.timestamp() * 1000)) == datetime(*following, 1, tzinfo=UTC)


def test_headers_tell_of_the_limit_that_has_least_left() -> None:
    which = one_plan(Limits(requests_per_minute=5, tokens_per_minute=100))
    left = {"k": 8, "p": 2}
    standings = [
        (left[rate.field.split(":")[1]] if rate.what == "requests" else 50, 10) for rate in which.rates
    ]
    headers = dict(refusals.headers(which, standings))
    assert headers[b"x-ratelimit-limit-requests"] == b"5"
    assert headers[b"x-ratelimit-remaining-requests"] == b"2"
    assert headers[b"x-ratelimit-remaining-tokens"] == b"50"


def test_limits_are_the_same_after_their_way_through_the_table() -> None:
    limits = Limits(1, 2, 3, 4, 5, 6, 7, 0, (10, 20))
    assert parse_limits(limits_attributes(limits)) == limits
    assert parse_limits(limits_attributes(NO_LIMITS)) == NO_LIMITS


@pytest.mark.parametrize(
    "attributes",
    [
        {"requests_per_minute": {"N": "0"}},
        {"tokens_per_day": {"N": "100000000001"}},
        {"spend_limit_micro_usd": {"N": "-1"}},
        {"tokens_per_minute": {"N": "100000000000"}, "burst_tokens": {"N": "1"}},
    ],
)
def test_limits_out_of_range_are_damage(attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is |are "):
        parse_limits(attributes)


def test_owners_are_read_from_their_items() -> None:
    project = {"sk": {"S": "PROJECT"}, "status": {"S": "active"}, "tokens_per_day": {"N": "5"}}
    model = {"sk": {"S": "RATE_LIMIT#gpt-5"}, "requests_per_day": {"N": "3"}}
    owners = parse_owners([project, model], {"concurrent_requests": {"N": "2"}})
    assert owners is not None
    assert owners.active
    assert owners.project == Limits(tokens_per_day=5)
    assert owners.models == (("gpt-5", Limits(requests_per_day=3)),)
    assert owners.organization == Limits(concurrent_requests=2)
    archived = parse_owners([{**project, "status": {"S": "archived"}}], None)
    assert archived is not None
    assert not archived.active
    assert parse_owners([model], None) is None
