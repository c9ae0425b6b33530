"""When a failed call is made again, and after how long."""

import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upstream import retries
from app.upstream.retries import RetryBudget, is_retried, may_be_charged, told_wait_s, wait_s


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_refusals_for_the_rate_and_failures_are_retried(status: int) -> None:
    assert is_retried(status, {})
    assert not is_retried(status, {"x-should-retry": "false"})


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_change_is_not_retried_unless_the_upstream_says_so(status: int) -> None:
    assert not is_retried(status, {})
    assert is_retried(status, {"x-should-retry": "true"})


@pytest.mark.parametrize("status", [408, 409, 504, 520, 524])
def test_what_may_have_been_charged_is_not_retried_whatever_the_upstream_says(status: int) -> None:
    assert may_be_charged(status)
    assert not is_retried(status, {})
    assert not is_retried(status, {"x-should-retry": "true"})


@given(st.integers(200, 599))
def test_nothing_is_retried_that_may_be_charged(status: int) -> None:
    assert not (may_be_charged(status) and is_retried(status, {"x-should-retry": "true"}))
    assert may_be_charged(status) or status >= 400


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
def test_what_must_not_be_done_twice_is_not_retried_once_it_may_have_been_done(status: int) -> None:
    for headers in ({}, {"x-should-retry": "true"}):
        assert not is_retried(status, headers, once=True)
    assert is_retried(429, {}, once=True)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:10 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
    ],
)
def test_the_waiting_time_is_read_in_every_spelling(headers: dict[str, str], told: float | None) -> None:
    assert told_wait_s(headers) == told


def test_a_date_is_a_waiting_time_too() -> None:
    told = told_wait_s({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert told is not None
    assert 28 < told <= 30


def test_waits_are_jittered_grow_and_are_never_shorter_than_told() -> None:
    for retry, longest_s in ((1, 0.25), (2, 0.5), (3, 1.0), (20, retries.LONGEST_BACKOFF_S)):
        waits = [wait_s(retry, {}) or 0.0 for _ in range(300)]
        assert 0 <= min(waits) < longest_s * 0.1
        assert longest_s * 0.9 < max(waits) <= longest_s
    waits = [wait_s(1, {"retry-after-ms": "700"}) or 0.0 for _ in range(300)]
    assert 0.7 <= min(waits) < 0.75
    assert max(waits) <= 0.95


def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    assert wait_s(1, {"retry-after": "5"}) is not None
    assert wait_s(1, {"retry-after": "6"}) is None


def test_retries_are_a_share_of_the_requests() -> None:
    budget = RetryBudget()
    saved = 0
    while budget.take():
        saved += 1
    assert saved == retries.MAX_SAVED_RETRIES
    spent = 0
    for _ in range(1000):
        budget.request_began()
        spent += budget.take()
    assert spent == pytest.approx(200, abs=1)


def test_what_is_saved_has_an_end() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.request_began()
    assert sum(budget.take() for _ in range(1000)) == retries.MAX_SAVED_RETRIES
