"""Usage and costs through the SDK are the ledger's records, whatever they are grouped and filtered by."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.ledger_record import UsageRecord
from app.ledger_rollups import KINDS, WIDTHS
from app.ledger_table import LedgerTable
from app.table import TableUnavailableError
from tests.app.accounts import usage_records
from tests.app.admin.people import People
from tests.app.conftest import Aws, Gateway, StandIn
from tests.app.test_ledger_table import ledger_table
from tests.servers import until

DAY_S = 86_400
NOW_S = int(time.time())
FIRST_S = (NOW_S // DAY_S - 2) * DAY_S
"""Two days ago, at midnight."""

FIELDS = {
    "project_id": "project_id",
    "user_id": "user_id",
    "api_key_id": "key_id",
    "model": "model",
    "service_tier": "service_tier",
}
"""Names of the API and of the records."""


def told(people: People, *batches: Sequence[UsageRecord]) -> None:
    """Brings records into the ledger of an organization, the first two batches at once."""

    async def write(table: LedgerTable, batch: Sequence[UsageRecord]) -> None:
        for _ in range(5):
            # What was not answered in time may be there or not; it is told again, as the ledger does it.
            with contextlib.suppress(TableUnavailableError):
                await table.write(people.organization_id, "g1", batch)
                return
        raise AssertionError("the table does not answer")

    async def tell() -> None:
        async with ledger_table(people.aws) as table:
            await table.begin_generation(people.organization_id, "g1", "2026-11")
            await asyncio.gather(*(write(table, batch) for batch in batches[:2]))
            for batch in batches[2:]:
                await write(table, batch)

    asyncio.run(tell())


def record(people: People, number: int, at_s: float, **given: Any) -> UsageRecord:
    fields = {
        "project_id": "proj_a",
        "key_id": "key_a",
        "endpoint": "/chat/completions",
        "model": "gpt-5-mini",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "micro_usd": 7,
        **given,
    }
    return UsageRecord(
        request_id=f"{people.organization_id}-{number}",
        organization_id=people.organization_id,
        replica="replica_1",
        outcome="answered",
        at_ms=int(at_s * 1000),
        **fields,
    )


def every_bucket(call: Any, **query: Any) -> list[Any]:
    """Those of all pages."""
    buckets, page = [], openai.omit
    while True:
        answer = call(page=page, **query)
        buckets += answer.data
        if not answer.has_more:
            assert answer.next_page is None
            return buckets
        page = answer.next_page


@st.composite
def usages(draw: st.DrawFn) -> dict[str, Any]:
    prompt = draw(st.integers(0, 10**6))
    micro_usd = draw(st.integers(0, 10**9))
    completion_micro_usd = draw(st.integers(0, micro_usd))
    return {
        "at_s": FIRST_S + draw(st.integers(0, NOW_S - FIRST_S)),
        "project_id": draw(st.sampled_from(["proj_a", "proj_b"])),
        "key_id": draw(st.sampled_from(["key_a", "key_b", "key_#c"])),
        "user_id": draw(st.sampled_from(["", "svc_acct_a"])),
        "endpoint": draw(st.sampled_from(sorted(KINDS))),
        "model": draw(st.sampled_from(["gpt-5-mini", "m" * 256, "mödel#1"])),
        "service_tier": draw(st.sampled_from(["default", "flex"])),
        "prompt_tokens": prompt,
        "cached_tokens": draw(st.integers(0, prompt)),
        "completion_tokens": draw(st.integers(0, 10**6)),
        "micro_usd": micro_usd,
        "completion_micro_usd": completion_micro_usd,
        "cached_micro_usd": draw(st.integers(0, micro_usd - completion_micro_usd)),
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given=st.lists(usages(), min_size=1, max_size=15),
    group_by=st.sets(st.sampled_from(sorted(FIELDS))),
    width=st.sampled_from(["1h", "1d"]),
    chosen=st.sampled_from(
        [{}, {"project_ids": ["proj_b"]}, {"models": ["mödel#1"], "user_ids": ["svc_acct_a"]}]
    ),
    limit=st.integers(1, 31),
)
def test_sums_by_any_group_and_bucket_are_those_of_the_records(
    aws: Aws,
    gateway: Gateway,
    given: list[dict[str, Any]],
    group_by: set[str],
    width: Any,
    chosen: dict[str, list[str]],
    limit: int,
) -> None:
    people = People(aws, gateway)
    records = [record(people, number, **one) for number, one in enumerate(given)]
    # Told by two replicas at once, and again, as after a failure.
    told(people, records[::2], records[: len(records) // 2], records, records[-1:])
    by = sorted(group_by)
    asked = [
        one
        for one in records
        if KINDS[one.endpoint] == "completions"
        and one.project_id in chosen.get("project_ids", [one.project_id])
        and one.model in chosen.get("models", [one.model])
        and one.user_id in chosen.get("user_ids", [one.user_id])
    ]
    buckets = every_bucket(
        people.api.usage.completions,
        start_time=FIRST_S,
        end_time=NOW_S + 1,
        bucket_width=width,
        group_by=by,
        limit=limit,
        **chosen,
    )
    width_s = WIDTHS[width]
    starts = [bucket.start_time for bucket in buckets]
    assert starts == list(range(FIRST_S, NOW_S + 1, width_s))
    assert all(bucket.end_time == bucket.start_time + width_s for bucket in buckets)
    expected: Counter[Any] = Counter()
    for one in asked:
        group = (
            one.at_ms // 1000 // width_s * width_s,
            *(getattr(one, FIELDS[name]) or None for name in by),
        )
        for name, amount in (
            ("num_model_requests", 1),
            ("input_tokens", one.prompt_tokens),
            ("input_cached_tokens", one.cached_tokens),
            ("output_tokens", one.completion_tokens),
        ):
            expected[(*group, name)] += amount
    found = {
        (bucket.start_time, *(getattr(result, name) for name in by), name): getattr(result, name)
        for bucket in buckets
        for result in bucket.results
        for name in ("num_model_requests", "input_tokens", "input_cached_tokens", "output_tokens")
    }
    assert found == dict(expected)
    for result in (result for bucket in buckets for result in bucket.results):
        assert all(getattr(result, name) is None for name in FIELDS if name not in by)
    days = every_bucket(people.api.usage.costs, start_time=FIRST_S, group_by=["line_item", "project_id"])
    costs: Counter[tuple[str, str | None]] = Counter()
    for result in (result for day in days for result in day.results):
        costs[result.project_id, result.line_item] += round(result.amount.value * 1e6)
    lines: Counter[tuple[str, str]] = Counter()
    for one in records:
        rest = one.micro_usd - one.cached_micro_usd - one.completion_micro_usd
        for what, micro_usd in (
            ("input_tokens", rest),
            ("cached_input_tokens", one.cached_micro_usd),
            ("output_tokens", one.completion_micro_usd),
        ):
            lines[one.project_id, f"{one.model}, {what}"] += micro_usd
    assert +costs == +lines
    assert sum(costs.values()) == sum(one.micro_usd for one in records)


def test_buckets_of_a_minute_hold_what_was_used_in_it(people: People) -> None:
    begin = NOW_S // 60 * 60 - 600
    told(people, [record(people, number, begin + at) for number, at in enumerate((0, 59.999, 60, 130))])
    answer = people.api.usage.completions(
        start_time=begin + 30, end_time=begin + 180, bucket_width="1m", limit=2
    )
    assert [bucket.start_time for bucket in answer.data] == [begin, begin + 60]
    assert [[result.num_model_requests for result in bucket.results] for bucket in answer.data] == [[2], [1]]
    assert answer.has_more
    rest = people.api.usage.completions(
        start_time=begin + 30, end_time=begin + 180, bucket_width="1m", page=answer.next_page
    )
    assert [bucket.start_time for bucket in rest.data] == [begin + 120]
    assert not rest.has_more


def test_each_endpoint_is_counted_where_openai_counts_it(people: People) -> None:
    told(
        people,
        [record(people, number, NOW_S, endpoint=endpoint) for number, endpoint in enumerate(sorted(KINDS))],
    )
    usage = people.api.usage
    counts = {
        name: call(start_time=NOW_S, end_time=NOW_S + 1).data[-1].results[0].num_model_requests
        for name, call in (
            ("completions", usage.completions),
            ("embeddings", usage.embeddings),
            ("moderations", usage.moderations),
        )
    }
    assert counts == {"completions": 3, "embeddings": 1, "moderations": 1}
    (result,) = usage.costs(start_time=NOW_S, end_time=NOW_S + 1).data[-1].results
    assert (result.amount.value, result.amount.currency) == (35 / 1e6, "usd")
    assert (result.line_item, result.quantity) == (None, None)


def test_costs_by_line_item_tell_how_many_tokens_were_paid(people: People) -> None:
    one = {"prompt_tokens": 100, "cached_tokens": 40, "cached_micro_usd": 1, "completion_micro_usd": 4}
    told(people, [record(people, number, NOW_S, **one) for number in range(2)])
    (day,) = people.api.usage.costs(start_time=NOW_S, end_time=NOW_S + 1, group_by=["line_item"]).data
    assert [
        (line.line_item, line.amount.value, line.quantity, line.quantity_unit) for line in day.results
    ] == [
        ("gpt-5-mini, cached_input_tokens", 2e-6, 80.0, "tokens"),
        ("gpt-5-mini, input_tokens", 4e-6, 120.0, "tokens"),
        ("gpt-5-mini, output_tokens", 8e-6, 10.0, "tokens"),
    ]
    (day,) = people.api.usage.costs(
        start_time=NOW_S, end_time=NOW_S + 1, line_items=["gpt-5-mini, output_tokens"]
    ).data
    assert [result.amount.value for result in day.results] == [8e-6]


def test_what_cannot_be_is_of_no_batch_and_of_no_labelled_source(people: People) -> None:
    told(people, [record(people, 1, NOW_S)])
    usage = people.api.usage.completions
    assert usage(start_time=NOW_S, end_time=NOW_S + 1, batch=True).data[0].results == []
    (result,) = (
        usage(start_time=NOW_S, end_time=NOW_S + 1, batch=False, group_by=["batch", "api_source"])
        .data[0]
        .results
    )
    assert (result.batch, result.api_source) == (False, "unlabeled")


def test_batches_are_told_apart_with_all_their_requests(people: People) -> None:
    of_batch = record(people, 2, NOW_S, endpoint="/batches/chat/completions", requests=5)
    told(people, [record(people, 1, NOW_S), of_batch])
    usage = people.api.usage.completions
    for batch, requests in ((True, 5), (False, 1), (None, 6)):
        given: Any = {} if batch is None else {"batch": batch}
        (result,) = usage(start_time=NOW_S, end_time=NOW_S + 1, **given).data[0].results
        assert result.num_model_requests == requests
    both = usage(start_time=NOW_S, end_time=NOW_S + 1, group_by=["batch"]).data[0].results
    told_apart = {result.batch: result.num_model_requests for result in both}
    assert told_apart == {True: 5, False: 1}


def test_requests_of_callers_are_told_by_key_and_service_account(
    aws: Aws, people: People, stand_in: StandIn
) -> None:
    assert stand_in.url
    project = people.api.projects.create(name="Web shop")
    account = people.api.projects.service_accounts.create(project.id, name="web")
    sdk = people.gateway.sdk(account.api_key.value)
    for text in ("one", "two"):
        sdk.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": text}], max_completion_tokens=50
        )
    sdk.embeddings.create(model="text-embedding-3-small", input="three")
    records = until(
        lambda: found if len(found := usage_records(aws, project.id)) == 3 else None, 20.0, "3 records"
    )
    chats = [one for one in records.values() if one["endpoint"] == "/chat/completions"]
    group_by = ["user_id", "api_key_id", "project_id", "model", "service_tier"]
    (result,) = people.api.usage.completions(start_time=NOW_S - 60, group_by=group_by).data[-1].results
    assert (result.user_id, result.api_key_id) == (account.id, account.api_key.id)
    assert (result.project_id, result.service_tier) == (project.id, "default")
    assert (result.model, result.num_model_requests) == ("gpt-4o-mini", 2)
    assert result.input_tokens == sum(one["prompt_tokens"] for one in chats)
    assert result.output_tokens == sum(one["completion_tokens"] for one in chats)
    lines = people.api.usage.costs(start_time=NOW_S - 60, group_by=["line_item"]).data[-1].results
    assert sum(round(line.amount.value * 1e6) for line in lines) == sum(
        one["micro_usd"] for one in records.values()
    )
    assert {"gpt-4o-mini, input_tokens", "gpt-4o-mini, output_tokens"} <= {line.line_item for line in lines}


@pytest.mark.parametrize(
    ("call", "query", "param"),
    [
        ("usage/completions", {}, "start_time"),
        ("usage/completions", {"start_time": -1}, "start_time"),
        ("usage/completions", {"start_time": FIRST_S, "end_time": FIRST_S}, "end_time"),
        ("usage/completions", {"start_time": FIRST_S, "bucket_width": "1w"}, "bucket_width"),
        ("usage/completions", {"start_time": FIRST_S, "limit": 32}, "limit"),
        ("usage/completions", {"start_time": FIRST_S, "bucket_width": "1h", "limit": 169}, "limit"),
        ("usage/completions", {"start_time": FIRST_S, "bucket_width": "1m", "limit": 1441}, "limit"),
        ("usage/completions", {"start_time": FIRST_S - 40 * DAY_S, "bucket_width": "1m"}, "start_time"),
        ("usage/completions", {"start_time": FIRST_S, "page": "page_7"}, "page"),
        ("usage/completions", {"start_time": FIRST_S, "page": f"page_{FIRST_S - DAY_S}"}, "page"),
        ("usage/completions", {"start_time": FIRST_S, "page": "next"}, "page"),
        ("usage/completions", {"start_time": FIRST_S, "group_by[]": "colour"}, "group_by[0]"),
        ("usage/embeddings", {"start_time": FIRST_S, "group_by[]": "batch"}, "group_by[0]"),
        ("usage/embeddings", {"start_time": FIRST_S, "batch": "true"}, "batch"),
        ("costs", {"start_time": FIRST_S, "limit": 181}, "limit"),
        ("costs", {"start_time": FIRST_S, "bucket_width": "1h"}, "bucket_width"),
        ("costs", {"start_time": FIRST_S, "models[]": "m"}, "models"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(
    people: People, call: str, query: dict[str, Any], param: str
) -> None:
    answer = people.ask("GET", f"/organization/{call}", **query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_what_has_not_begun_has_no_buckets(people: People) -> None:
    assert people.api.usage.completions(start_time=NOW_S + 10 * DAY_S).data == []
