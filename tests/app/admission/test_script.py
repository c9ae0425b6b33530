"""admission.lua on a real Valkey: any interleaving of reservations, settlements, expiries, crashes and losses
of memory does what its twin does, keeps every limit, and leaves nothing behind."""

import asyncio
import itertools
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.admission.plan import Plan, Scopes, costs, plan
from app.admission.script import SCRIPT, Terms, keys, of_request, reserve, verdict
from app.limits import NO_LIMITS, Limits
from app.valkey import Argument
from tests.app.admission.twin import Twin
from tests.app.conftest import open_valkey
from tests.servers import ValkeyServer

CLOCKED = SCRIPT.replace(b"redis.call('TIME')", b"redis.call('MGET', 'clock:s', 'clock:us')")
"""The script with a clock that a test sets."""

KEY_A = Limits(requests_per_minute=20, burst_requests=3, tokens_per_minute=4_000, concurrent_requests=6)
KEY_B = Limits(requests_per_day=30, tokens_per_day=9_000, burst_tokens=7)
PROJECT = Limits(tokens_per_minute=6_000, requests_per_minute=30, spend_limit_micro_usd=3_000)
ORGANIZATION = Limits(concurrent_requests=9, spend_limit_micro_usd=5_000)
PLANS = [
    plan(Scopes("a", KEY_A, "p1", PROJECT, (), "org", ORGANIZATION), "m"),
    plan(Scopes("b", KEY_B, "p1", PROJECT, (("m", KEY_A),), "org", ORGANIZATION), "m"),
    plan(Scopes("c", NO_LIMITS, "p2", NO_LIMITS, (), "org", ORGANIZATION), None),
]
LEASE_MS = 10_000
MONTH = 2026 * 12 + 10
LAST_HOUR = 1_796_079_600_000  # 2026-11-30 23:00:00 UTC


def reserve_arguments(request_id: str, terms: Terms) -> tuple[Argument, ...]:
    return (*of_request(request_id, terms), *terms.plan.arguments)


class Memory:
    """One organization in Valkey, by way of a plain client."""

    def __init__(self, server: ValkeyServer) -> None:
        self.client = redis.Redis(
            host="127.0.0.1", port=server.port, username=server.username, password=server.password
        )
        self.generations = (f"generation-{number}" for number in itertools.count())
        self.generation = ""

    def clear(self) -> None:
        names = [*self.client.scan_iter("admission:{org}*")]
        if names:
            self.client.delete(*names)

    def clock(self, now_ms: int) -> None:
        self.client.mset({"clock:s": now_ms // 1000, "clock:us": now_ms % 1000 * 1000})

    def run(self, request_id: str, *arguments: Any) -> list[Any]:
        names = keys("org", request_id)
        answer: list[Any] = self.client.execute_command("EVAL", CLOCKED, len(names), *names, *arguments)  # type: ignore[no-untyped-call]
        return answer

    def seed(self, *pairs: Any) -> None:
        self.generation = next(self.generations)
        assert self.run("", "seed", self.generation, MONTH, *pairs, "leases") == [1, self.generation.encode()]

    def settle(self, request_id: str, tokens: int, money: int, if_gone: str = "append", **given: Any) -> Any:
        generation = given.get("generation", self.generation)
        budgets = given.get("budgets", ())
        record = given.get("record", f"{money}")
        return self.run(
            request_id, "settle", request_id, generation, tokens, money, record, if_gone, 0, *budgets
        )

    def outbox(self) -> list[dict[bytes, bytes]]:
        entries: Any = self.client.xrange(keys("org")[3])
        return [entry for _, entry in entries]

    def state(self) -> dict[str, list[int]]:
        found: Any = self.client.hgetall(keys("org")[0])
        return {
            field.decode(): numbers(field, value) for field, value in found.items() if field != b"generation"
        }


def numbers(field: bytes, value: bytes) -> list[int]:
    """What a field of the memory holds: one number as text, or three as doubles."""
    return [int(value)] if field.startswith(b"c:") else [int(part) for part in struct.unpack("<3d", value)]


@pytest.fixture
def memory(valkey: ValkeyServer) -> Iterator[Memory]:
    memory = Memory(valkey)
    memory.clear()
    memory.clock(LAST_HOUR)
    memory.seed()
    yield memory
    memory.clear()
    memory.client.close()


class Interleavings(RuleBasedStateMachine):
    """Steps in Valkey and in the twin; each answer, and what is left, must agree."""

    server: ValkeyServer
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(self.server)
        self.memory.clear()
        self.twin = Twin(LAST_HOUR)
        self.memory.clock(LAST_HOUR)
        self.memory.seed()
        self.numbers = itertools.count()
        self.admitted: list[tuple[int, Plan]] = []

    @rule(
        target=leases,
        which=st.sampled_from(PLANS),
        tokens=st.integers(1, 5_000),
        bounded=st.booleans(),
        money=st.integers(0, 1_200),
    )
    def reserve(self, which: Plan, tokens: int, bounded: bool, money: int) -> tuple[str, int, int]:
        request_id = f"r{next(self.numbers)}"
        asked = costs(which, tokens, bounded=bounded)
        terms = Terms(which, tokens, bounded, money, LEASE_MS, b"meta")
        expected = self.twin.reserve(request_id, terms)
        said = verdict(self.memory.run(request_id, *reserve_arguments(request_id, terms)))
        assert (said.refused, said.number, said.wait_ms) == expected
        assert said.standings == self.twin.standings(which)
        if said.refused is None:
            assert said.generation == self.memory.generation
            self.admitted.append((self.twin.now_ms, which))
        return (
            request_id,
            min(
                [
                    tokens,
                    *(cost for rate, cost in zip(which.rates, asked, strict=True) if rate.what == "tokens"),
                ]
            ),
            money,
        )

    @rule(lease=leases, share=st.floats(0, 1))
    def settle(self, lease: tuple[str, int, int], share: float) -> None:
        """Also of a lease that was refused, settled or expired before: then nothing changes."""
        request_id, tokens, money = lease
        used = (int(tokens * share), int(money * share))
        before = self.memory.state()
        if self.twin.settle(request_id, *used):
            assert self.memory.settle(request_id, *used) == [1]
        else:
            assert self.memory.settle(request_id, *used, record="") == [0]
            assert self.memory.state() == before

    @rule(lease=consumes(leases))
    def crash(self, lease: tuple[str, int, int]) -> None:
        """Nobody will settle this one."""

    @rule(pause_ms=st.one_of(st.integers(0, 2_000), st.integers(0, 40_000), st.just(3_600_000)))
    def wait(self, pause_ms: int) -> None:
        self.twin.now_ms += pause_ms
        self.memory.clock(self.twin.now_ms)

    @rule()
    def sweep(self) -> None:
        self.twin.expire()
        self.memory.run("", "sweep", 16)

    @precondition(lambda self: self.twin.leases)
    @rule()
    def time_passes_until_every_lease_is_over(self) -> None:
        self.twin.now_ms += LEASE_MS
        self.memory.clock(self.twin.now_ms)
        while self.twin.leases:
            self.twin.expire()
            assert self.memory.run("", "sweep", 16)[0] > 0
        self.nothing_leaks()

    @invariant()
    def what_is_kept_agrees(self) -> None:
        for field, numbers in self.memory.state().items():
            if field.startswith("c:"):
                assert numbers == [self.twin.out(field)]
            elif field.startswith("b:"):
                month, spent, held = numbers
                assert spent == self.twin.spent.get((field, f"{month // 12}-{month % 12 + 1:02}"), 0)
                assert held == self.twin.reserved(field)

    @invariant()
    def no_budget_is_exceeded(self) -> None:
        limits = {"b:p:p1": 3_000, "b:o": 5_000}
        for field, numbers in self.memory.state().items():
            if field in limits:
                assert numbers[1] + numbers[2] <= limits[field]

    @invariant()
    def no_bucket_is_overfull(self) -> None:
        stored = self.memory.state()
        for rate in {rate.field: rate for one in PLANS for rate in one.rates}.values():
            if rate.field in stored:
                level, _, held = stored[rate.field]
                assert level + held * rate.period <= rate.capacity

    @invariant()
    def the_outbox_holds_every_end_once(self) -> None:
        told = [(entry[b"id"].decode(), b"expired" in entry) for entry in self.memory.outbox()]
        assert told == [(request_id, expired) for request_id, _, expired in self.twin.outbox]

    def teardown(self) -> None:
        self.memory.client.close()

    def nothing_leaks(self) -> None:
        names = keys("org")
        assert self.memory.client.zcard(names[1]) == 0
        assert self.memory.client.hlen(names[2]) == 0
        for field, numbers in self.memory.state().items():
            assert field[0] != "c" or numbers == [0]
            assert field[0] == "c" or numbers[2] == 0, "something is held by nobody"


def test_any_interleaving_keeps_every_limit_and_leaks_nothing(valkey: ValkeyServer) -> None:
    machine = type("Machine", (Interleavings,), {"server": valkey})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def terms_of(which: Plan, *, tokens: int = 1, money: int = 0) -> Terms:
    return Terms(which, tokens, True, money, LEASE_MS, b"meta")


def test_waiting_as_told_passes_and_a_millisecond_less_does_not(memory: Memory) -> None:
    narrow = plan(
        Scopes("w", Limits(requests_per_minute=7, tokens_per_day=11), "p", NO_LIMITS, (), "org", NO_LIMITS),
        None,
    )
    now_ms, refused = LAST_HOUR, 0
    for number in range(40):
        terms = terms_of(narrow)
        arguments = reserve_arguments(f"w{number}", terms)
        said = verdict(memory.run(f"w{number}", *arguments))
        memory.settle(f"w{number}", 1, 0)
        if said.refused:
            refused += 1
            memory.clock(now_ms + said.wait_ms - 1)
            assert verdict(memory.run("again", *arguments)).refused
            now_ms += said.wait_ms
            memory.clock(now_ms)
            assert verdict(memory.run(f"w{number}", *arguments)).refused is None
            memory.settle(f"w{number}", 1, 0)
    assert refused > 20


def test_nothing_is_reserved_before_the_month_is_known(memory: Memory) -> None:
    memory.run("", "void", memory.generation)
    terms = terms_of(PLANS[0], money=1)
    assert memory.run("early", *reserve_arguments("early", terms)) == [-1]
    memory.seed("b:o", 4_999)
    assert verdict(memory.run("early", *reserve_arguments("early", terms))).refused is None
    too_much = verdict(memory.run("late", *reserve_arguments("late", terms)))
    assert (too_much.refused, too_much.number, too_much.wait_ms) == ("reserved", 1, -2)


def test_a_memory_begins_with_the_leases_that_are_out_all_the_same(memory: Memory) -> None:
    memory.run("", "void", memory.generation)
    memory.generation = "with-leases"
    leases = ("leases", "a", 1000, 30, "meta-a", "b:p:p", "b:o", "b", 500, 12, "meta-b", "b:p:other", "b:o")
    memory.run("", "seed", memory.generation, MONTH, "b:o", 5, "b:p:p", 5, *leases)
    state = memory.state()
    assert [state[name][1:] for name in ("b:o", "b:p:p", "b:p:other")] == [[5, 42], [5, 30], [0, 12]]
    assert memory.settle("a", 0, 7) == [1]
    memory.clock(LAST_HOUR + 600)
    assert memory.run("", "sweep", 10) == [1]
    state = memory.state()
    assert [state[name][1:] for name in ("b:o", "b:p:p", "b:p:other")] == [[24, 0], [12, 0], [12, 0]]
    assert [entry.get(b"expired", entry.get(b"record")) for entry in memory.outbox()] == [b"7", b"meta-b"]


def test_only_the_first_seed_counts_and_only_its_own_generation_is_voided(memory: Memory) -> None:
    assert memory.run("", "seed", "other", MONTH, "leases") == [0, memory.generation.encode()]
    assert memory.run("", "void", "other") == [0]
    assert memory.run("", "void", memory.generation) == [1]
    assert memory.run("", "void", memory.generation) == [0]


def test_a_request_of_another_generation_is_left_alone(memory: Memory) -> None:
    terms = terms_of(PLANS[0], money=7)
    memory.run("r", *reserve_arguments("r", terms))
    before = memory.state()
    assert memory.settle("r", 1, 7, generation="older") == [-2, memory.generation.encode()]
    assert memory.state() == before
    assert memory.outbox() == []


def test_a_request_whose_lease_was_lost_is_charged_once(memory: Memory) -> None:
    for attempt in range(3):
        status = memory.settle("lost", 5, 40, "charge", budgets=("b:o", "b:p:p1"))
        assert status == ([2] if attempt == 0 else [0])
    assert memory.state()["b:o"][1:] == [40, 0]
    assert memory.state()["b:p:p1"][1:] == [40, 0]
    assert len(memory.outbox()) == 1


def test_what_may_have_been_settled_is_told_again_but_not_charged_again(memory: Memory) -> None:
    terms = terms_of(PLANS[0], money=7)
    memory.run("r", *reserve_arguments("r", terms))
    assert memory.settle("r", 1, 5) == [1]
    assert memory.settle("r", 1, 5) == [2]
    assert memory.state()["b:o"][1:] == [5, 0]
    assert [entry[b"id"] for entry in memory.outbox()] == [b"r", b"r"]


def test_limits_are_never_evicted_for_want_of_memory(memory: Memory) -> None:
    terms = terms_of(PLANS[0], money=7)
    memory.run("r", *reserve_arguments("r", terms))
    for name in keys("org")[:3]:
        assert memory.client.pttl(name) == -1


@pytest.mark.parametrize(("limits", "money", "passing"), [
    (Limits(spend_limit_micro_usd=37_000), 1_000, 37),
    (Limits(requests_per_minute=1, burst_requests=99), 0, 100),
    (Limits(requests_per_day=100), 0, 100),
    (Limits(tokens_per_minute=100), 0, 100),
    (Limits(concurrent_requests=37), 0, 37),
])  # fmt: skip
@pytest.mark.usefixtures("memory")
async def test_concurrent_clients_never_pass_a_limit(
    valkey: ValkeyServer, limits: Limits, money: int, passing: int
) -> None:
    clients = [await open_valkey(valkey) for _ in range(3)]
    which = plan(Scopes("k", NO_LIMITS, "p", limits, (), "org", NO_LIMITS), None)
    terms = terms_of(which, money=money)
    try:
        await clients[0].execute("SCRIPT", "FLUSH")
        said = await asyncio.gather(
            *(reserve(clients[number % 3], "org", f"c{number}", terms) for number in range(500))
        )
        assert sum(one.refused is None for one in said) == passing
    finally:
        for client in clients:
            await client.close()


@pytest.mark.parametrize("year", [2023, 2024, 2026, 2100])
def test_months_are_those_of_the_calendar_in_utc(memory: Memory, year: int) -> None:
    memory.run("", "void", memory.generation)
    which = plan(Scopes("k", NO_LIMITS, "p", NO_LIMITS, (), "org", NO_LIMITS), None)
    for month in range(1, 13):
        start = int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000
        for now_ms, expected in ((start, year * 12 + month - 1), (start - 1, year * 12 + month - 2)):
            memory.clear()
            memory.clock(now_ms)
            memory.seed()
            memory.run("r", *reserve_arguments("r", terms_of(which)))
            assert memory.state()["b:o"][0] == expected
