"""Whose files and batches they are: items of the project, so that another project's are not found.

`PROJECT#<id>` / `FILE#<id>` and `BATCH#<id>`, in `gsi1` by the time they were made. `value` is the upstream's
object as it was last told, `created_at` its time.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import orjson
from botocore.exceptions import ClientError

from app.admin.layout import Address, Collection, Item
from app.admin.store import ATTEMPTS, FIRST_PAUSE_S, Page, Store
from app.admin.writes import Check, Create, Forget, Update, Write, actions
from app.aws import DynamoDB
from app.batches.open_batch import FIRST, LAST, OpenBatch, address, all_open, open_batch
from app.ledger_table import fence
from app.table import TableUnavailableError, answered

Kind = Literal["FILE", "BATCH"]
Value = Mapping[str, Any]
"""A file or a batch as OpenAI's API has it."""

KEPT_DAYS = 400


class ChangedError(Exception):
    """What was to be written rests on something that has changed; nothing was written."""


class Records:
    """Each method raises TableUnavailableError."""

    def __init__(self, client: DynamoDB, name: str) -> None:
        self._client = client
        self._name = name
        self._store = Store(client, name)

    async def get(self, kind: Kind, project_id: str, item_id: str) -> Item | None:
        return await self._store.get(_address(kind, project_id, item_id))

    async def page(
        self,
        kind: Kind,
        project_id: str,
        *,
        limit: int,
        after: Item | None,
        descending: bool = True,
        keep: Callable[[Item], bool] = lambda _: True,
    ) -> Page:
        """In the order in which they were made."""
        collection = Collection(f"PROJECT#{project_id}", f"{kind}#", index=True)
        cursor = None if after is None else str(after["gsi1sk"]).removeprefix(collection.prefix)
        return await self._store.page(collection, limit=limit, after=cursor, descending=descending, keep=keep)

    async def add_file(self, project_id: str, value: Value) -> None:
        await self._write([Create(_item("FILE", project_id, value, value.get("expires_at")))])

    async def forget_file(self, project_id: str, file_id: str) -> None:
        await self._write([Forget(_address("FILE", project_id, file_id))])

    async def hold(self, batch: OpenBatch, generation: str) -> None:
        """Notes a batch that is about to be made, while the memory that holds its money is in force.

        Raises ChangedError when it is not any more: then nothing would hold the batch.
        """
        key = fence(batch.organization_id)
        in_force = Check(Address(key["pk"]["S"], key["sk"]["S"]), {"generation": generation})
        await self._write([in_force, Create(batch.item())])

    async def begun(self, batch: OpenBatch, value: Value) -> None:
        """The upstream has made the batch. Raises ChangedError when that is known already."""
        before = await self._store.get(batch.address)
        made = _item("BATCH", batch.project_id, value, int(time.time()) + KEPT_DAYS * 86_400)
        named = {"organization_id": batch.organization_id, "request_id": batch.request_id}
        made |= {**named, "concluded": False}
        if before is None or before.get("batch_id"):
            raise ChangedError
        await self._write([Create(made), Update(before, {**before, "batch_id": str(value["id"])})])

    async def concluded(
        self, item: Item, value: Value, files: Sequence[Value], record: str, micro_usd: int
    ) -> None:
        """A batch has ended: its usage is to be settled, and its project's are the files that came of it.

        Nothing is settled of a batch whose money is held no more. Raises ChangedError.
        """
        project_id = item["pk"].removeprefix("PROJECT#")
        writes: list[Write] = [Update(item, {**item, "value": _text(value), "concluded": True})]
        writes += [Create(_item("FILE", project_id, file, file.get("expires_at"))) for file in files]
        before = await self._store.get(address(item["organization_id"], item["request_id"]))
        if before is not None:
            ended = {"ended": True, "record": record, "micro_usd": micro_usd}
            writes.append(Update(before, {**before, **ended}))
        await self._write(writes)

    async def seen(self, item: Item, value: Value) -> None:
        """What the upstream tells of a batch now. Raises ChangedError."""
        if orjson.loads(item["value"]) != value:
            await self._write([Update(item, {**item, "value": _text(value)})])

    async def held(self, organization_id: str, request_id: str) -> OpenBatch | None:
        """A batch whose money is held, None when it is settled or its time is over."""
        item = await self._store.get(address(organization_id, request_id))
        return None if item is None else open_batch(item)

    async def open(self, organization_id: str | None = None) -> list[OpenBatch]:
        """Batches whose money is held."""
        items = await self._store.between(all_open(organization_id), FIRST, LAST)
        return [open_batch(item) for item in items]

    async def forget(self, batch: OpenBatch) -> None:
        """A batch is held no more."""
        await self._write([Forget(batch.address)])

    async def _write(self, writes: Sequence[Write]) -> None:
        pause_s = FIRST_PAUSE_S
        for _ in range(ATTEMPTS):
            try:
                await answered(self._client.transact_write_items(TransactItems=actions(self._name, writes)))
            except ClientError as refused:
                told: Any = refused.response.get("CancellationReasons") or []
                if any(reason.get("Code") == "ConditionalCheckFailed" for reason in told):
                    raise ChangedError from None
                # The ledger's transactions look at the same fence.
                await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311
                pause_s *= 2
            else:
                return
        raise TableUnavailableError("the same items are being written by others")


def _address(kind: Kind, project_id: str, item_id: str) -> Address:
    return Address(f"PROJECT#{project_id}", f"{kind}#{item_id}")


def _item(kind: Kind, project_id: str, value: Value, expires_at: object) -> Item:
    address = _address(kind, project_id, str(value["id"]))
    created_at = int(value.get("created_at") or time.time())
    return {
        "pk": address.pk,
        "sk": address.sk,
        "gsi1pk": address.pk,
        "gsi1sk": f"{kind}#{created_at:011}#{value['id']}",
        "value": _text(value),
        **({"expires_at": expires_at} if isinstance(expires_at, int) else {}),
    }


def _text(value: Value) -> str:
    return orjson.dumps(value).decode()
