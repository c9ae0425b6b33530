"""The ledger in DynamoDB: a record a request, what owners used in a month, the rollups, always in step.

Items: `REQUEST#<id>` / `USAGE`; `SPEND#<organization>#<month>` / `ORG`, `PROJECT#<id>` or `KEY#<id>`;
`ORG#<id>` / `LEDGER` with the generation of Valkey's memory that was filled from here; those of
`app/ledger_rollups.py`.

The generation is a fence. Records that were charged in one generation are only added while it is in force. A
new one begins by setting it, then reads the totals, which nothing changes from then on but records charged in
the new one. So a record is either in what a memory was filled with or charged in it, never both, never
neither.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from app.admin.store import Store
from app.aws import DynamoDB
from app.batches.open_batch import FIRST, LAST, OpenBatch, all_open, open_batch
from app.ledger_record import UsageRecord, record_address, totals, totals_address
from app.ledger_rollups import Bucket, Minute, buckets_of, minute_of, rollup_update, rollups
from app.table import TableUnavailableError, answered

MAX_ACTIONS = 100
"""Of one transaction of DynamoDB."""

MAX_RECORDS = 93
"""Of one transaction when all are of one key, model and minute: the fence, three totals and three rollups are
the other actions."""

ATTEMPTS = 8
FIRST_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Written:
    """recorded: ids that are in the table now. fenced: others belong to a generation that is over."""

    recorded: frozenset[str]
    fenced: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """spent: micro-dollars by scope (ORG, PROJECT#<id>). is_first: the organization had no generation yet."""

    spent: dict[str, int]
    is_first: bool


class LedgerTable:
    """Each method raises TableUnavailableError."""

    def __init__(self, client: DynamoDB, name: str) -> None:
        self._client = client
        self._name = name

    async def write(self, organization_id: str, generation: str, records: Sequence[UsageRecord]) -> Written:
        """Adds records that are not there yet, those of one transaction at a time."""
        recorded: set[str] = set()
        rest = list({record.request_id: record for record in records}.values())
        while rest:
            batch = _transaction(rest)
            rest = rest[len(batch) :]
            if not await self._add(organization_id, generation, batch):
                missing = [record.request_id for record in (*batch, *rest)]
                return Written(frozenset(recorded | await self.recorded(missing)), fenced=True)
            recorded |= {record.request_id for record in batch}
        return Written(frozenset(recorded), fenced=False)

    async def begin_generation(self, organization_id: str, generation: str, month: str) -> Begun:
        """Ends all others, and tells what was spent in the month."""
        answer = await answered(
            self._client.update_item(
                TableName=self._name,
                Key=fence(organization_id),
                UpdateExpression="SET generation = :generation",
                ExpressionAttributeValues={":generation": {"S": generation}},
                ReturnValues="UPDATED_OLD",
            )
        )
        is_first = not answer.get("Attributes")
        spent: dict[str, int] = {}
        start: dict[str, Any] = {}
        while True:
            page = await answered(
                self._client.query(
                    TableName=self._name,
                    ConsistentRead=True,
                    KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                    ExpressionAttributeValues={
                        ":pk": totals_address(organization_id, month, "")["pk"],
                        ":first": {"S": "ORG"},
                        ":last": {"S": "PROJECT#\U0010ffff"},
                    },
                    **start,
                )
            )
            for item in page["Items"]:
                spent[item["sk"]["S"]] = int(item["micro_usd"]["N"])
            if "LastEvaluatedKey" not in page:
                return Begun(spent, is_first)
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def open_batches(self, organization_id: str) -> list[OpenBatch]:
        """Batches whose money is held. Read after a generation has begun: no other adds to them any more."""
        store = Store(self._client, self._name)
        return [open_batch(item) for item in await store.between(all_open(organization_id), FIRST, LAST)]

    async def spent(self, organization_id: str, month: str, scope: str) -> int:
        """Micro-dollars in the table by now."""
        answer = await answered(
            self._client.get_item(
                TableName=self._name, Key=totals_address(organization_id, month, scope), ConsistentRead=True
            )
        )
        return int(answer["Item"]["micro_usd"]["N"]) if "Item" in answer else 0

    async def recorded(self, request_ids: Sequence[str]) -> set[str]:
        """Those of the requests that are in the table."""
        found: set[str] = set()
        for start in range(0, len(request_ids), MAX_ACTIONS):
            asked: Any = [record_address(one) for one in request_ids[start : start + MAX_ACTIONS]]
            while asked:
                answer = await answered(
                    self._client.batch_get_item(
                        RequestItems={
                            self._name: {
                                "Keys": asked,
                                "ConsistentRead": True,
                                "ProjectionExpression": "pk",
                            }
                        }
                    )
                )
                found |= {
                    item["pk"]["S"].removeprefix("REQUEST#") for item in answer["Responses"][self._name]
                }
                asked = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys")
        return found

    async def _add(self, organization_id: str, generation: str, batch: list[UsageRecord]) -> bool:
        """False when the generation is over."""
        pause_s = FIRST_PAUSE_S
        for _ in range(ATTEMPTS):
            if not batch:
                return True
            try:
                await answered(
                    self._client.transact_write_items(
                        TransactItems=self._actions(organization_id, generation, batch)
                    )
                )
            except ClientError as refused:
                told: Any = refused.response.get("CancellationReasons") or [{}]
                reasons = [reason.get("Code") for reason in told]
                if reasons[0] == "ConditionalCheckFailed":
                    return False
                present = {
                    record.request_id
                    for record, reason in zip(batch, reasons[1:], strict=False)
                    if reason == "ConditionalCheckFailed"
                }
                batch = [record for record in batch if record.request_id not in present]
                if not present:
                    # Another replica adds to the same totals at this moment.
                    await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311
                    pause_s *= 2
            else:
                return True
        raise TableUnavailableError("the totals are being written by others")

    def _actions(
        self, organization_id: str, generation: str, batch: list[UsageRecord]
    ) -> list[dict[str, Any]]:
        actions: list[dict[str, Any]] = [
            {
                "ConditionCheck": {
                    "TableName": self._name,
                    "Key": fence(organization_id),
                    "ConditionExpression": "generation = :generation",
                    "ExpressionAttributeValues": {":generation": {"S": generation}},
                }
            }
        ]
        actions += [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": record.item(),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for record in batch
        ]
        for (month, scope), sums in totals(batch).items():
            added = [name for name in sums if name != "last_used_at"]
            actions.append(
                {
                    "Update": {
                        "TableName": self._name,
                        "Key": totals_address(organization_id, month, scope),
                        "UpdateExpression": "SET last_used_at = :last_used_at ADD "
                        + ", ".join(f"{name} :{name}" for name in added),
                        "ExpressionAttributeValues": {f":{name}": {"N": str(sums[name])} for name in sums},
                    }
                }
            )
        actions += [
            {"Update": rollup_update(self._name, organization_id, bucket, sums)}
            for bucket, sums in rollups(batch).items()
        ]
        return actions


def fence(organization_id: str) -> dict[str, Any]:
    """The item that names the generation in force."""
    return {"pk": {"S": f"ORG#{organization_id}"}, "sk": {"S": "LEDGER"}}


def _transaction(records: Sequence[UsageRecord]) -> list[UsageRecord]:
    """As many of the first as one transaction takes, with the totals and rollups they add to."""
    totals_of: set[tuple[str, ...]] = set()
    minutes: set[Minute] = set()
    buckets: set[Bucket] = set()
    batch: list[UsageRecord] = []
    for record in records:
        minute = minute_of(record)
        if minute not in minutes:
            month = record.month
            totals_of.update(((month,), (month, record.project_id), (month, "", record.key_id)))
            minutes.add(minute)
            buckets.update(buckets_of(minute))
        if 1 + len(totals_of) + len(buckets) + len(batch) + 1 > MAX_ACTIONS:
            break
        batch.append(record)
    return batch
