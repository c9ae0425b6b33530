"""The rate limit: the script on a real Valkey, its twin in Python, and the headers."""

import asyncio

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.admission.limits import SCRIPT, requests_key, take_shared
from app.admission.rates import MAX_BUCKETS, Level, LocalLimits, Standing, duration, take
from tests.app.test_cache import caller, open_valkey
from tests.servers import ValkeyServer

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


# The script with the clock as an argument, so that the same steps can be taken in it and in Python.
CLOCKED = SCRIPT.replace(b"redis.call('TIME')", b"{ARGV[#ARGV - 1], ARGV[#ARGV]}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 10_000_000), st.sampled_from([1_000, 60_000, 3_600_000]), steps)
def test_the_script_and_python_agree(
    valkey: ValkeyServer, limit: int, period_ms: int, taken: list[tuple[int, int]]
) -> None:
    async def compare() -> None:
        client = await open_valkey(valkey)
        try:
            await client.execute("DEL", "agree")
            bucket, now_ms = Level(), 1_700_000_000_000
            for index, (pause_ms, cost) in enumerate(taken):
                # Every fifth step the clock goes back, as it may when another node takes over.
                now_ms += -pause_ms if index % 5 == 4 else pause_ms
                clock = (now_ms // 1000, now_ms % 1000 * 1000)
                answer = await client.execute("EVAL", CLOCKED, 1, "agree", limit, period_ms, cost, *clock)
                bucket, standing = take(bucket, now_ms, limit, period_ms, cost)
                assert answer == [
                    int(standing.allowed),
                    standing.remaining,
                    standing.reset_ms,
                    standing.wait_ms,
                ]
        finally:
            await client.close()

    asyncio.run(compare())


async def test_concurrent_takers_never_exceed_the_limit(valkey: ValkeyServer) -> None:
    clients = [await open_valkey(valkey) for _ in range(3)]
    try:
        await clients[0].execute("SCRIPT", "FLUSH")
        await clients[0].execute("DEL", "race")
        taken = await asyncio.gather(
            *(take_shared(clients[index % 3], "race", 100, 3_600_000) for index in range(1000))
        )
        assert sum(standing.allowed for standing in taken) == 100
    finally:
        for one in clients:
            await one.close()


async def test_a_client_that_waits_as_told_passes_on_the_servers_clock(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        await client.execute("DEL", "wait")
        while (standing := await take_shared(client, "wait", 20, 1_000)).allowed:
            pass
        assert 0 < standing.wait_ms <= 50
        await asyncio.sleep(standing.wait_ms / 1000)
        assert (await take_shared(client, "wait", 20, 1_000)).allowed
    finally:
        await client.close()


async def test_limits_are_never_evicted_for_want_of_memory(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        key = requests_key(caller())
        await take_shared(client, key, 60, 60_000)
        assert await client.execute("PTTL", key) == -1
    finally:
        await client.close()


async def test_several_limits_are_taken_together_or_not_at_all(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        await client.execute("DEL", "{t}wide", "{t}narrow")
        arguments = (SCRIPT, 2, "{t}wide", "{t}narrow", 100, 60_000, 1, 2, 60_000, 1)
        answers = [await client.execute("EVAL", *arguments) for _ in range(5)]
        assert [answer[0] for answer in answers] == [1, 1, 0, 0, 0]
        assert [answer[1] for answer in answers] == [99, 98, 98, 98, 98]
    finally:
        await client.close()


def test_local_limits_are_bounded_in_memory() -> None:
    limits = LocalLimits()
    for index in range(MAX_BUCKETS + 50):
        limits.take(f"key-{index}", 1, 1, 60_000)
    assert len(limits._buckets) == MAX_BUCKETS
    assert not limits.take(f"key-{MAX_BUCKETS + 49}", 1, 1, 60_000).allowed


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
