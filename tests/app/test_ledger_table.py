"""The fence between the table and Valkey's memories, on local DynamoDB; seeding by several replicas."""

import asyncio
import contextlib
import secrets
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiobotocore.session import get_session

from app.admission import script
from app.admission.seeding import Seeding
from app.aws import DynamoDB
from app.ledger import Ledger
from app.ledger_record import UsageRecord, decode, encode, shared
from app.ledger_table import MAX_RECORDS, Begun, LedgerTable
from app.prices import NO_SHARES
from app.table import TableUnavailableError
from app.transactions import TransactionWriter
from app.usage import Usage
from app.valkey import Valkey, ValkeyReplyError
from tests.app.conftest import REGION, TABLE, Aws, open_valkey
from tests.servers import ValkeyServer

AT_MS = 1_796_079_599_000  # 2026-11-30 22:59:59 UTC


def record(number: int, organization_id: str, **given: Any) -> UsageRecord:
    return UsageRecord(
        request_id=f"{organization_id}-{number}",
        organization_id=organization_id,
        project_id=f"proj_{number % 3}",
        key_id=f"key_{number % 3}",
        endpoint="/chat/completions",
        model="gpt-4o-mini",
        replica="replica_1",
        outcome="answered",
        prompt_tokens=10,
        completion_tokens=5,
        micro_usd=7,
        at_ms=given.pop("at_ms", AT_MS),
        **given,
    )


@asynccontextmanager
async def ledger_client(aws: Aws) -> AsyncIterator[DynamoDB]:
    session = get_session()
    session.set_credentials("test", "test")
    async with session.create_client("dynamodb", endpoint_url=aws.endpoint_url, region_name=REGION) as client:
        client.transact_write_items = TransactionWriter(session, client)
        yield client


@asynccontextmanager
async def ledger_table(aws: Aws) -> AsyncIterator[LedgerTable]:
    async with ledger_client(aws) as client:
        yield LedgerTable(client, TABLE)


@pytest.fixture
def organization() -> str:
    return f"org-{secrets.token_hex(4)}"


def test_a_record_is_the_same_after_its_way_through_the_outbox() -> None:
    one = record(1, "org", estimated=True)
    assert decode(replace(one, at_ms=0).encode(), AT_MS) == one
    told = orjson.loads(one.encode())
    for name in ("service_tier", "user_id", "cached_micro_usd", "completion_micro_usd"):
        del told[name]
    assert decode(orjson.dumps(told), AT_MS) == one, "of an earlier release"
    later = replace(one, at_ms=0).encode().replace(b"{", b'{"of_a_later_release":1,', 1)
    assert decode(later, AT_MS) == one
    beginning = shared(
        "org", one.project_id, one.key_id, one.endpoint, one.model, "default", "", one.replica, True
    )
    usage = Usage(one.prompt_tokens, one.completion_tokens, 15, estimated=True)
    assert (
        decode(encode(beginning, one.request_id, "answered", usage, one.micro_usd, NO_SHARES), AT_MS) == one
    )
    assert one.month == "2026-11"
    assert replace(one, at_ms=AT_MS + 3_601_000).month == "2026-12"


async def test_a_request_counts_once_however_often_it_is_told(aws: Aws, organization: str) -> None:
    async with ledger_table(aws) as table:
        await table.begin_generation(organization, "g1", "2026-11")
        records = [record(number, organization) for number in range(2 * MAX_RECORDS + 10)]
        for told in (records[:50], records, records[30:], records[:1] * 3):
            written = await table.write(organization, "g1", told)
            assert written.recorded == {one.request_id for one in told}
            assert not written.fenced
        assert await table.spent(organization, "2026-11", "ORG") == 7 * len(records)
        by_project = [await table.spent(organization, "2026-11", f"PROJECT#proj_{n}") for n in range(3)]
        assert sum(by_project) == 7 * len(records)


async def test_what_comes_after_a_new_generation_is_not_added_to_what_filled_it(
    aws: Aws, organization: str
) -> None:
    async with ledger_table(aws) as table:
        first = await table.begin_generation(organization, "g1", "2026-11")
        assert first == Begun({}, is_first=True)
        await table.write(organization, "g1", [record(1, organization)])
        begun = await table.begin_generation(organization, "g2", "2026-11")
        assert begun == Begun({"ORG": 7, "PROJECT#proj_1": 7}, is_first=False)
        late = await table.write(organization, "g1", [record(1, organization), record(2, organization)])
        assert late.fenced
        assert late.recorded == {f"{organization}-1"}
        assert await table.spent(organization, "2026-11", "ORG") == 7
        assert not (await table.write(organization, "g2", [record(2, organization)])).fenced
        assert await table.spent(organization, "2026-11", "ORG") == 14


async def test_writers_at_the_same_time_add_up(aws: Aws, organization: str) -> None:
    async with ledger_table(aws) as table:
        await table.begin_generation(organization, "g1", "2026-11")
        records = [record(number, organization) for number in range(60)]
        await asyncio.gather(
            *(table.write(organization, "g1", records[start : start + 20]) for start in range(0, 50, 10))
        )
        assert await table.spent(organization, "2026-11", "ORG") == 7 * 60


async def test_a_table_that_is_gone_is_told_apart_from_a_fence(aws: Aws, organization: str) -> None:
    async with ledger_table(replace(aws, endpoint_url="http://127.0.0.1:1")) as table:
        with pytest.raises(TableUnavailableError):
            await table.write(organization, "g1", [record(1, organization)])


async def test_replicas_that_find_no_memory_fill_it_once(
    aws: Aws, organization: str, valkey: ValkeyServer
) -> None:
    clients = [await open_valkey(valkey) for _ in range(4)]
    async with ledger_table(aws) as table:
        generations = await asyncio.gather(
            *(Seeding(client, table, gather_s=0).seed(organization) for client in clients for _ in range(3))
        )
        assert len(set(generations)) == 1
        written = await table.write(organization, generations[0], [record(1, organization)])
        assert not written.fenced, "the table knows the generation that Valkey has"
    for client in clients:
        await client.close()


async def nothing(_organization: str, _records: Any) -> None:
    pass


async def put_in_outbox(client: Valkey, organization: str, generation: str, number: int = 1) -> None:
    one = record(number, organization, at_ms=0)
    await script.settle(
        client,
        organization,
        one.request_id,
        generation=generation,
        tokens=0,
        money=7,
        record=one.encode(),
        if_gone="charge",
        budgets=("b:o",),
    )


async def test_who_is_told_of_records_and_fails_keeps_none_in_the_outbox(
    aws: Aws, organization: str, valkey: ValkeyServer
) -> None:
    async def fails(_organization: str, _records: Any) -> None:
        raise KeyError("recipients")

    client: Valkey = await open_valkey(valkey)
    async with ledger_table(aws) as table:
        seeding = Seeding(client, table, gather_s=0)
        await put_in_outbox(client, organization, await seeding.seed(organization))
        await Ledger(client, table, seeding, "replica_2", fails)._drain(organization)
        assert await client.execute("XLEN", script.outbox_key(organization)) == 0
    await client.close()


async def test_an_organization_in_trouble_does_not_keep_the_others_usage_from_the_table(aws: Aws) -> None:
    server = ValkeyServer("own")
    client: Valkey = await open_valkey(server)
    async with ledger_table(aws) as table:
        seeding = Seeding(client, table, gather_s=0)
        names = [f"org-{secrets.token_hex(4)}" for _ in range(6)]
        for name in names:
            await put_in_outbox(client, name, await seeding.seed(name))
        await client.execute("SET", script.outbox_key(min(names)), "not a stream")
        ledger = Ledger(client, table, seeding, "replica_2", nothing)
        waiting = set(names) - {min(names)}
        for _ in range(200):
            with contextlib.suppress(ValkeyReplyError):
                await ledger._tick()
            ledger._adopted_at = 0
            waiting = {name for name in waiting if await client.execute("XLEN", script.outbox_key(name))}
            if not waiting:
                break
        assert not waiting
    await client.close()
    server.stop()


async def test_a_memory_the_table_does_not_know_is_replaced_and_its_outbox_charged_once(
    aws: Aws, organization: str, valkey: ValkeyServer
) -> None:
    client: Valkey = await open_valkey(valkey)
    async with ledger_table(aws) as table:
        seeding = Seeding(client, table, gather_s=0)
        first = await seeding.seed(organization)
        for number in range(5):
            await put_in_outbox(client, organization, first, number)
        # Another replica filled a memory at the same moment and was too late for Valkey, not for the table.
        await table.begin_generation(organization, "of-another", "2026-11")
        ledger = Ledger(client, table, seeding, "replica_2", nothing)
        for _ in range(2):
            await ledger._drain(organization)
        second = await seeding.generation(organization)
        assert second not in (first, "of-another", None)
        found = await client.execute("HGET", script.keys(organization)[0], "b:o")
        assert struct.unpack("<3d", found)[1:] == (35, 0)
        assert await client.execute("XLEN", script.outbox_key(organization)) == 0
    await client.close()
