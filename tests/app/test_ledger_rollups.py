"""Rollups are the records' sums, whatever they are of, and fit with them into DynamoDB's transactions."""

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.endpoints import ENDPOINTS
from app.ledger_record import UsageRecord
from app.ledger_rollups import COUNTED, KINDS, MONEY, TOKENS, WIDTHS, dimensions_of, rollups
from app.ledger_table import MAX_ACTIONS, MAX_RECORDS, LedgerTable, _transaction
from tests.app.test_ledger_table import AT_MS, record

ANYTHING: Any = None

TABLE = LedgerTable(ANYTHING, "table")


def actions_of(batch: list[UsageRecord]) -> list[dict[str, Any]]:
    """A transaction's, as DynamoDB is sent them."""
    sent: list[dict[str, Any]] = orjson.loads(orjson.dumps(TABLE._actions("org", "g", batch)))
    return sent


@st.composite
def records(draw: st.DrawFn) -> list[UsageRecord]:
    few = draw(st.integers(1, 40))
    return [
        replace(
            record(number, "org", at_ms=AT_MS + draw(st.integers(0, 200_000_000))),
            key_id=f"key_{draw(st.integers(1, few))}",
            model=f"model-{draw(st.integers(1, few))}",
            endpoint=draw(st.sampled_from([*KINDS, "/of-a-later-release"])),
            micro_usd=draw(st.integers(0, 10**9)),
            prompt_tokens=draw(st.integers(0, 10**6)),
        )
        for number in range(draw(st.integers(1, 120)))
    ]


@settings(max_examples=60, deadline=None)
@given(records())
def test_every_record_counts_once_in_each_width(used: list[UsageRecord]) -> None:
    found: dict[str, Counter[Any]] = {width: Counter() for width in WIDTHS}
    for bucket, sums in rollups(used).items():
        assert bucket.start % WIDTHS[bucket.width] == 0
        counts = dict(zip((*TOKENS, *MONEY), sums, strict=True))
        key = (bucket.start, bucket.dimensions.key_id, bucket.dimensions.model)
        for name in ("requests", "prompt_tokens", "micro_usd"):
            found[bucket.width][(*key, name)] += counts[name]
    for width, width_s in WIDTHS.items():
        expected: Counter[Any] = Counter()
        for one in used:
            key = (one.at_ms // 1000 // width_s * width_s, one.key_id, one.model)
            expected[(*key, "requests")] += 1
            expected[(*key, "prompt_tokens")] += one.prompt_tokens
            expected[(*key, "micro_usd")] += one.micro_usd
        assert found[width] == expected


@settings(max_examples=60, deadline=None)
@given(records())
def test_a_transaction_is_as_full_as_dynamodb_lets_it(used: list[UsageRecord]) -> None:
    rest = used
    while rest:
        batch = _transaction(rest)
        rest = rest[len(batch) :]
        actions = actions_of(batch)
        assert batch
        assert len(actions) <= MAX_ACTIONS
        if rest:
            assert len(actions_of([*batch, rest[0]])) > MAX_ACTIONS
        keys = [str(next(iter(action.values())).get("Key")) for action in actions if "Update" in action]
        assert len(keys) == len(set(keys)), "DynamoDB takes an item once in a transaction"


def test_what_is_all_alike_fills_a_transaction() -> None:
    alike = [replace(record(0, "org"), request_id=str(number)) for number in range(200)]
    assert len(_transaction(alike)) == MAX_RECORDS


def test_every_endpoint_is_of_a_kind() -> None:
    assert KINDS.keys() == {endpoint.path for endpoint in ENDPOINTS}


def test_an_item_says_what_it_is_of_and_when_it_may_go() -> None:
    (bucket, sums), *_ = rollups([record(1, "org")]).items()
    (update,) = (
        action["Update"]
        for action in actions_of([record(1, "org")])
        if "#1d" in str(action.get("Update", {}).get("Key"))
    )
    values = update["ExpressionAttributeValues"]
    assert dimensions_of(values[":dimensions"]["S"]) == bucket.dimensions
    assert {name: int(values[f":{name}"]["N"]) for name in COUNTED["1d"]} == dict(
        zip(COUNTED["1d"], sums, strict=True)
    )
    assert int(values[":expires_at"]["N"]) > AT_MS // 1000 + 399 * 86_400
