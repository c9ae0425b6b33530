"""Settling in any order, by several replicas, with memories lost in between: charged once, whatever comes.

OpenAI is the one part that is not real: it tells of one batch that has ended.
"""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.base_protocol import BaseProtocol

from app.admission import script
from app.admission.plan import Scopes, plan
from app.admission.seeding import Seeding
from app.batches.making import _begun
from app.batches.open_batch import OpenBatch
from app.batches.records import ChangedError, Records
from app.batches.settling import Settling
from app.errors import ApiError
from app.ledger import Ledger
from app.ledger_record import encode, shared
from app.ledger_table import LedgerTable
from app.limits import NO_LIMITS, Limits
from app.prices import NO_SHARES, Prices, for_batches, spelled
from app.upstream.answers import Answer, UpstreamRefusal
from app.usage import Usage
from tests.app.accounts import Account
from tests.app.conftest import TABLE, Aws, open_valkey
from tests.app.test_ledger_table import ledger_client
from tests.servers import ValkeyServer

MODEL = "gpt-4o-mini"
HELD = 1000
PRICE = Prices({}).price(MODEL)


class OneBatch:
    """The upstream, with one batch of two answers that has ended. lost: its output is gone."""

    def __init__(self, lost: bool = False) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        line = json.dumps({"response": {"status_code": 200, "body": {"usage": usage}}}).encode()
        self._output = line + b"\n" + line
        self.lost = lost

    async def complete(self, _method: str, path: str, _exchange: object, **_: Any) -> Answer:
        now: dict[str, Any] = {"id": path.rpartition("/")[2], "created_at": 1}
        if path.startswith("/batches/"):
            counts = {"total": 2, "completed": 2, "failed": 0}
            now |= {"status": "completed", "output_file_id": f"file-{now['id']}", "request_counts": counts}
        return Answer(200, (), orjson.dumps(now), now)

    @asynccontextmanager
    async def download(self, _path: str, _exchange: object) -> AsyncIterator[Any]:
        if self.lost:
            raise UpstreamRefusal(Answer(404, (), b"", {"error": {}}))
        loop = asyncio.get_running_loop()
        content = aiohttp.StreamReader(BaseProtocol(loop), 2**16, loop=loop)
        content.feed_data(self._output)
        content.feed_eof()

        yield SimpleNamespace(content=content)


class World:
    """Two replicas' settling, over the same table and memory."""

    def __init__(self, account: Account, valkey: Any, dynamodb: Any, upstream: OneBatch) -> None:
        self.account = account
        self.valkey = valkey
        self.table = LedgerTable(dynamodb, TABLE)
        self.records = Records(dynamodb, TABLE)
        self.seeding = Seeding(valkey, self.table, gather_s=0)

        async def nobody(_organization_id: str, _records: Any) -> None:
            pass

        self.ledgers = [Ledger(valkey, self.table, self.seeding, f"r{n}", nobody) for n in range(2)]
        self.settlings = [
            Settling(valkey, self.seeding, self.table, self.records, upstream, f"r{n}")  # type: ignore[arg-type]
            for n in range(2)
        ]

    async def begin(self) -> OpenBatch:
        """A batch that is held and has begun."""
        organization, project = self.account.organization_id, self.account.project_id
        request_id = f"req_{secrets.token_hex(8)}"
        assert PRICE is not None
        beginning = shared(
            organization, project, "k", "/batches/chat/completions", MODEL, "default", "", "", True, 2
        )
        batch = OpenBatch(
            request_id=request_id,
            organization_id=organization,
            project_id=project,
            key_id="k",
            user_id="",
            endpoint="/chat/completions",
            model=MODEL,
            requests=2,
            held_micro_usd=HELD,
            held_until_ms=2**42,
            expired=encode(beginning, request_id, "expired", Usage(9, 9, 18), HELD, NO_SHARES).decode(),
            price=spelled(for_batches(PRICE)),
            created_at=1,
        )
        scopes = Scopes(
            "k", NO_LIMITS, project, Limits(spend_limit_micro_usd=HELD), (), organization, NO_LIMITS
        )
        terms = script.Terms(plan(scopes).for_batch, 0, True, HELD, 10**8, batch.expired.encode())
        generation = await self.seeding.seed(organization)
        assert (await script.reserve(self.valkey, organization, request_id, terms)).refused is None
        await self.records.hold(batch, generation)
        await self.records.begun(
            batch, {"id": f"batch_{request_id}", "created_at": 1, "status": "in_progress"}
        )
        return batch

    async def look(self, replica: int) -> None:
        for batch in await self.records.open(self.account.organization_id):
            await self.settlings[replica].look_at(batch, 10.0)

    async def drain(self, replica: int) -> None:
        await self.ledgers[replica]._drain(self.account.organization_id)

    async def lose(self) -> None:
        prefix = script.keys(self.account.organization_id)[0]
        names = [prefix, f"{prefix}:leases", f"{prefix}:held", f"{prefix}:outbox"]
        await self.valkey.execute("DEL", *names)


@asynccontextmanager
async def world(aws: Aws, valkey: ValkeyServer, upstream: OneBatch) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        client = await open_valkey(valkey)
        stack.push_async_callback(client.close)
        dynamodb = await stack.enter_async_context(ledger_client(aws))
        yield World(Account(aws), client, dynamodb, upstream)


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_happens_in_whatever_order_a_batch_is_charged_once(
    aws: Aws, valkey: ValkeyServer, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    assert PRICE is not None
    expected = 2 * for_batches(PRICE).cost(Usage(1000, 100, 1100))
    async with world(aws, valkey, OneBatch()) as here:
        await here.begin()
        for _ in range(10):
            match chance.randrange(6):
                case 0 | 1:
                    await here.look(chance.randrange(2))
                case 2:
                    await here.drain(chance.randrange(2))
                case 3:
                    await here.lose()
                case 4:
                    await asyncio.gather(here.look(0), here.look(1))
                case 5:
                    await here.seeding.seed(here.account.organization_id)
            spent, held = here.account.budgets(valkey).get("b:o", (0, 0))
            assert spent in (0, expected)
            assert held in (0, HELD)
        for replica in (0, 1, 0, 1):
            await here.look(replica)
            await here.drain(replica)
        assert await here.records.open(here.account.organization_id) == []
        await here.seeding.seed(here.account.organization_id)
        (record,) = here.account.records().values()
        assert (record["micro_usd"], record["requests"], record["estimated"]) == (expected, 2, False)
        assert here.account.budgets(valkey)["b:o"] == (expected, 0)
        assert here.account.totals()["ORG"]["micro_usd"] == expected
        assert here.account.held_by(valkey) == 0


async def test_a_memory_that_begins_with_its_usage_and_its_lease_counts_it_once(
    aws: Aws, valkey: ValkeyServer
) -> None:
    async with world(aws, valkey, OneBatch()) as here:
        await here.begin()
        await here.look(0)
        await here.drain(0)
        ((spent, held),) = {here.account.budgets(valkey)["b:o"]}
        await here.lose()
        await here.seeding.seed(here.account.organization_id)
        assert here.account.budgets(valkey)["b:o"] == (spent, held + HELD)
        await here.look(1)
        assert here.account.budgets(valkey)["b:o"] == (spent, 0)
        assert here.account.held_by(valkey) == 0


async def test_an_output_that_is_gone_is_charged_what_was_held(aws: Aws, valkey: ValkeyServer) -> None:
    async with world(aws, valkey, OneBatch(lost=True)) as here:
        await here.begin()
        await here.look(0)
        await here.drain(0)
        (record,) = here.account.records().values()
        assert (record["micro_usd"], record["estimated"], record["requests"]) == (HELD, True, 2)
        assert here.account.budgets(valkey)["b:o"] == (HELD, 0)


async def test_nothing_is_noted_that_a_new_memory_would_not_hold(aws: Aws, valkey: ValkeyServer) -> None:
    async with world(aws, valkey, OneBatch()) as here:
        batch = await here.begin()
        another = replace(batch, request_id=f"{batch.request_id}-another")
        before = await here.seeding.seed(batch.organization_id)
        await here.lose()
        after = await here.seeding.seed(batch.organization_id)
        with pytest.raises(ChangedError):
            await here.records.hold(another, before)
        await here.records.hold(another, after)


@pytest.mark.parametrize("known", [True, False])
async def test_a_batch_that_nothing_holds_any_more_is_cancelled(
    aws: Aws, valkey: ValkeyServer, known: bool
) -> None:
    asked: list[str] = []

    class Upstream(OneBatch):
        async def complete(self, _method: str, path: str, _exchange: object, **_: Any) -> Answer:
            asked.append(f"{_method} {path}")
            return await super().complete(_method, path, _exchange)

    async with world(aws, valkey, OneBatch()) as here:
        batch = await here.begin()
        value = {"id": f"batch_{batch.request_id}" if known else "batch_late", "created_at": 1}
        await here.records.forget(batch)
        steps = SimpleNamespace(upstream=Upstream())
        parts: Any = SimpleNamespace(records=here.records, steps=steps)
        making: Any = SimpleNamespace(parts=parts, exchange=None)
        answer = Answer(200, (), b"", {**value, "metadata": None})
        if known:
            await _begun(making, batch, SimpleNamespace(), answer)  # type: ignore[arg-type]
            assert asked == []
        else:
            with pytest.raises(ApiError):
                await _begun(making, batch, SimpleNamespace(), answer)  # type: ignore[arg-type]
            assert asked == ["POST /batches/batch_late/cancel"]
