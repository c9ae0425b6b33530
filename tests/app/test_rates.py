"""The arithmetic of a rate limit, the limits of one process, and the headers."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.admission.rates import MAX_BUCKETS, Level, LocalLimits, Standing, duration, take

steps = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 3)), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 50), st.sampled_from([1_000, 60_000]), steps)
@example(7, 60_000, [(0, 1)] * 20)
def test_no_window_admits_more_than_burst_and_rate(
    limit: int, period_ms: int, taken: list[tuple[int, int]]
) -> None:
    bucket, now_ms, admitted = Level(), 1_700_000_000_000, []
    for pause_ms, cost in taken:
        now_ms += pause_ms
        bucket, standing = take(bucket, now_ms, limit, period_ms, cost)
        if standing.allowed:
            admitted.append((now_ms, cost))
    for index, (start, _) in enumerate(admitted):
        total = 0
        for at, cost in admitted[index:]:
            total += cost
            assert total * period_ms <= limit * period_ms + (at - start) * limit


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 50), st.sampled_from([1_000, 60_000]), steps)
def test_waiting_as_told_passes_and_a_millisecond_less_does_not(
    limit: int, period_ms: int, taken: list[tuple[int, int]]
) -> None:
    bucket, now_ms = Level(), 1_700_000_000_000
    for pause_ms, cost in taken:
        now_ms += pause_ms
        before = bucket
        bucket, standing = take(bucket, now_ms, limit, period_ms, cost)
        if standing.allowed:
            continue
        assert bucket == before, "a refusal must not be counted"
        if cost > limit:
            assert standing.wait_ms == -1
            continue
        assert not take(bucket, now_ms + standing.wait_ms - 1, limit, period_ms, cost)[1].allowed
        assert take(bucket, now_ms + standing.wait_ms, limit, period_ms, cost)[1].allowed


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 50), steps)
def test_reset_is_when_the_bucket_is_empty(limit: int, taken: list[tuple[int, int]]) -> None:
    bucket, now_ms = Level(), 1_700_000_000_000
    for pause_ms, cost in taken:
        now_ms += pause_ms
        bucket, standing = take(bucket, now_ms, limit, 60_000, cost)
    assert take(bucket, now_ms + standing.reset_ms, limit, 60_000, limit)[1].allowed
    if standing.reset_ms:
        assert not take(bucket, now_ms + standing.reset_ms - 1, limit, 60_000, limit)[1].allowed


def test_a_limit_of_100_admits_exactly_100_at_once() -> None:
    bucket, admitted = Level(), 0
    for _ in range(1000):
        bucket, standing = take(bucket, 1, 100, 60_000)
        admitted += standing.allowed
    assert admitted == 100


def test_local_limits_are_bounded_in_memory() -> None:
    limits = LocalLimits()
    for index in range(MAX_BUCKETS + 50):
        limits.take(1, [(f"key-{index}", 1)])
    assert len(limits._buckets) == MAX_BUCKETS
    assert not limits.take(1, [(f"key-{MAX_BUCKETS + 49}", 1)])[0].allowed


def test_local_limits_are_taken_together_or_not_at_all() -> None:
    limits = LocalLimits()
    for remaining in (1, 0):
        assert [one.allowed for one in limits.take(1, [("wide", 3), ("narrow", 2)])] == [True, True]
        assert limits._buckets["wide"].level == (2 - remaining) * 60_000
    assert [one.allowed for one in limits.take(1, [("wide", 3), ("narrow", 2)])] == [True, False]
    assert limits._buckets["wide"].level == 2 * 60_000


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0s"),
        (6, "6ms"),
        (999, "999ms"),
        (1000, "1s"),
        (8640, "8.64s"),
        (360_000, "6m0s"),
        (3_661_500, "1h1m1.5s"),
    ],
)
def test_durations_are_spelled_as_openai_does(ms: int, text: str) -> None:
    assert duration(ms) == text


def test_the_headers_are_openais() -> None:
    headers = Standing(True, 60, 59, 1000, 0).headers("requests")
    assert headers == [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
    ]
