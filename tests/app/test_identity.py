"""From a bearer key to its caller: what is remembered, for how long, and what an outage changes."""

import asyncio
from typing import Any

import pytest

from app import identity, remembered
from app.admission.plan import Scopes
from app.errors import ApiError
from app.identity import Caller, Identity, bearer_token
from app.keys import KeyRecord, hash_key, new_key
from app.limits import NO_LIMITS, Limits
from app.owners import Owners
from app.remembered import FRESH_S, MAX_RECORDS, MAX_UNKNOWN, STALE_S, UNKNOWN_FRESH_S
from app.table import Table, TableUnavailableError
from tests.app.conftest import PEPPER


class FakeTable(Table):
    """Records in memory, and an outage on demand."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.owned: Owners | None = Owners(True, NO_LIMITS, (), NO_LIMITS)
        self.gone = False
        self.reads = 0

    async def key_record(self, key_hash: str) -> KeyRecord | None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.gone:
            raise TableUnavailableError("gone")
        return self.records.get(key_hash)

    async def owners(self, organization_id: str, project_id: str) -> Owners | None:
        assert (organization_id, project_id) == ("org-1", "proj_1")
        if self.gone:
            raise TableUnavailableError("gone")
        return self.owned

    def new_key(self, **options: Any) -> str:
        key, record = new_key(PEPPER, organization_id="org-1", project_id="proj_1", name="n", **options)
        self.records[record.hash] = record
        return key


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


def test_no_spelling_of_a_model_goes_around_its_limits() -> None:
    limits = (("gpt-4o", Limits(requests_per_minute=1)), ("Mine", Limits(requests_per_minute=2)))
    scopes = Scopes("key_1", NO_LIMITS, "proj_1", NO_LIMITS, limits, "org-1", NO_LIMITS)
    caller = Caller("key_1", "org-1", "proj_1", scopes)
    for spelled in ("gpt-4o", "GPT-4o", "gPt-4O"):
        assert caller.plan(spelled) is caller.plan("gpt-4o")
        assert [rate.limit for rate in caller.plan(spelled, "mine").rates] == [1, 2]
    assert caller.plan("gpt-4o-mini").rates == ()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(remembered, "time", clock)
    monkeypatch.setattr(identity, "time", clock)
    return clock


@pytest.fixture
def table() -> FakeTable:
    return FakeTable()


async def status(who: Identity, key: str) -> int:
    try:
        await who.identify(f"Bearer {key}", None, None)
    except ApiError as refused:
        return refused.status
    return 200


async def test_a_record_is_read_once_while_it_is_fresh(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    for _ in range(3):
        assert await status(who, key) == 200
    assert table.reads == 1
    clock.now += FRESH_S
    assert await status(who, key) == 200
    assert table.reads == 2
    assert FRESH_S <= 5


async def test_concurrent_requests_of_a_key_share_a_read(table: FakeTable) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    assert await asyncio.gather(*(status(who, key) for _ in range(50))) == [200] * 50
    assert table.reads == 1


async def test_one_who_leaves_does_not_take_the_answer_from_the_others(table: FakeTable) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    first, second = (asyncio.create_task(status(who, key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 200


async def test_an_unknown_key_is_remembered_briefly(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    stored = table.records.pop(hash_key(PEPPER, key))
    assert [await status(who, key) for _ in range(3)] == [401] * 3
    assert table.reads == 1
    table.records[stored.hash] = stored
    clock.now += UNKNOWN_FRESH_S
    assert await status(who, key) == 200


async def test_in_an_outage_a_known_key_stays_good_for_its_time(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    assert await status(who, key) == 200
    table.gone = True
    clock.now += FRESH_S
    assert await status(who, key) == 200
    reads = table.reads
    assert await status(who, key) == 200
    assert table.reads == reads, "not every request waits for a table that is gone"
    clock.now += STALE_S
    assert await status(who, key) == 503
    table.gone = False
    assert await status(who, key) == 200


async def test_in_an_outage_a_revoked_key_stays_out(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    record = table.records[hash_key(PEPPER, key)]
    table.records[record.hash] = KeyRecord(
        **{name: getattr(record, name) for name in KeyRecord.__slots__} | {"status": "revoked"}
    )
    assert await status(who, key) == 401
    table.gone = True
    clock.now += FRESH_S
    assert await status(who, key) == 401
    assert await status(who, "sk-gw-" + "x" * 43) == 503


async def test_what_does_not_look_like_a_key_costs_no_read(table: FakeTable) -> None:
    who = Identity(table, PEPPER, 60)
    assert await status(who, "sk-something-else") == 401
    assert table.reads == 0


async def test_a_flood_of_unknown_keys_is_bounded_in_memory_and_no_known_one_is_forgotten_for_it(
    table: FakeTable, clock: Clock
) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    assert await status(who, key) == 200
    for number in range(MAX_RECORDS + 10):
        await status(who, f"sk-gw-{number:043}")
    table.gone = True
    clock.now += FRESH_S
    assert await status(who, key) == 200
    assert len(who._keys) == MAX_UNKNOWN + 1


async def test_keys_beyond_the_most_that_are_remembered_are_forgotten_in_order_of_their_use(
    table: FakeTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MAX_RECORDS", 2)
    who, keys = Identity(table, PEPPER, 60), [table.new_key() for _ in range(3)]
    for key in (keys[0], keys[1], keys[0], keys[2]):
        clock.now += FRESH_S
        assert await status(who, key) == 200
    table.gone = True
    clock.now += FRESH_S
    assert [await status(who, key) for key in keys] == [200, 503, 200]


async def test_a_key_that_is_deleted_and_made_again_is_known_again(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    stored = table.records[hash_key(PEPPER, key)]
    for known in (True, False, True):
        table.records = {stored.hash: stored} if known else {}
        clock.now += FRESH_S
        assert await status(who, key) == (200 if known else 401)
    assert len(who._keys) == 1


async def test_the_keys_own_limit_comes_before_the_default(table: FakeTable) -> None:
    who = Identity(table, PEPPER, 60)
    own = await who.identify(f"Bearer {table.new_key(requests_per_minute=5)}", None, None)
    default = await who.identify(f"bearer {table.new_key()}", "org-1", "proj_1")
    assert own.scopes.key.requests_per_minute == 5
    assert default.scopes.key.requests_per_minute == 60


async def test_a_key_ends_when_it_expires(table: FakeTable, clock: Clock) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key(expires_at=int(clock.now) + 2)
    assert await status(who, key) == 200
    clock.now += 2
    assert await status(who, key) == 401


async def test_keys_of_an_archived_or_missing_project_are_refused_in_time(
    table: FakeTable, clock: Clock
) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    assert await status(who, key) == 200
    for gone in (Owners(False, NO_LIMITS, (), NO_LIMITS), None):
        table.owned = gone
        clock.now += FRESH_S
        assert await status(who, key) == 401


async def test_a_changed_limit_is_in_force_in_time_and_an_unchanged_one_costs_nothing(
    table: FakeTable, clock: Clock
) -> None:
    who, key = Identity(table, PEPPER, 60), table.new_key()
    first = await who.identify(f"Bearer {key}", None, None)
    clock.now += FRESH_S
    assert await who.identify(f"Bearer {key}", None, None) is first
    table.owned = Owners(True, Limits(spend_limit_micro_usd=7), (("m", Limits(tokens_per_day=9)),), NO_LIMITS)
    clock.now += FRESH_S
    second = await who.identify(f"Bearer {key}", None, None)
    assert [budget.limit for budget in second.plan("x").budgets] == [7, None]
    assert [rate.limit for rate in second.plan("m").rates] == [60, 9]
    assert second.plan("x") is second.plan("y")


@pytest.mark.parametrize(
    ("header", "token"),
    [(None, None), ("", None), ("Bearer", None), ("Bearer  x ", "x"), ("bearer x", "x"), ("Basic x", None)],
)
def test_the_token_of_a_header(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token
