"""The organization in DynamoDB: read as it is now, listed in pages, changed in transactions with their log.

Nothing is remembered here: whoever administers sees what is in the table.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from app.admin import refusals
from app.admin.audit import Actor, Event, entry
from app.admin.layout import Address, Collection, Item, attribute, plain
from app.admin.writes import Create, Write, actions
from app.aws import DynamoDB
from app.table import TableUnavailableError, answered

ATTEMPTS = 8
FIRST_PAUSE_S = 0.02
QUERY_ITEMS = 100
RANGE_ITEMS = 2000
MAX_BATCH = 100
"""Items of one BatchGetItem."""

T = TypeVar("T")


class ConflictError(Exception):
    """Something that was read has changed since, so nothing was written: read again. `failed`: which writes
    were refused; none when the transaction met another."""

    def __init__(self, failed: Sequence[Write]) -> None:
        super().__init__("an item has changed since it was read")
        self.failed = tuple(failed)


@dataclass(frozen=True, slots=True)
class Page:
    """items: in the order of the list. has_more: there are further ones in the direction that was asked."""

    items: list[Item]
    has_more: bool


class Store:
    """Each method raises TableUnavailableError."""

    def __init__(self, client: DynamoDB, name: str) -> None:
        self._client = client
        self._name = name

    async def get(self, address: Address) -> Item | None:
        """An item as it is now."""
        answer = await answered(
            self._client.get_item(TableName=self._name, Key=address.key(), ConsistentRead=True)
        )
        return plain(answer["Item"]) if "Item" in answer else None

    async def get_all(self, addresses: Iterable[Address]) -> dict[Address, Item]:
        """Those of the items that are there, as they are now."""
        wanted = list(dict.fromkeys(addresses))
        found: dict[Address, Item] = {}
        for start in range(0, len(wanted), MAX_BATCH):
            asked: Any = [address.key() for address in wanted[start : start + MAX_BATCH]]
            while asked:
                answer = await answered(
                    self._client.batch_get_item(
                        RequestItems={self._name: {"Keys": asked, "ConsistentRead": True}}
                    )
                )
                for item in map(plain, answer["Responses"].get(self._name, ())):
                    found[Address.of(item)] = item
                asked = answer.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys")
        return found

    async def find(self, collection: Collection, item_id: str) -> Item | None:
        """The item of a collection that has this id; one of an index as it is now, found as it was a moment
        ago."""
        found, _ = await self._query(collection, item_id, item_id, limit=1)
        if not found:
            return None
        return await self.get(Address.of(found[0])) if collection.index else found[0]

    async def page(
        self,
        collection: Collection,
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        descending: bool = False,
        keep: Callable[[Item], bool] = lambda _: True,
        between: tuple[str, str] = ("", "\U0010ffff"),
    ) -> Page:
        """Up to `limit` items that `keep` keeps, in the order of their ids.

        after, before: ids that need not exist (any more); with before alone, the items right before it.
        between: the first and the last id of those in question.
        """
        backwards = before is not None and after is None
        down = descending is not backwards
        bounds = list(between)
        if after is not None:
            bounds[descending] = _inner(after, bounds[descending], up=not descending)
        if before is not None:
            bounds[not descending] = _inner(before, bounds[not descending], up=descending)
        sort_key = collection.names[1]
        passed = {collection.prefix + cursor for cursor in (after, before) if cursor is not None}
        found: list[Item] = []
        more = bounds[0] <= bounds[1]
        while more and len(found) <= limit:
            items, more = await self._query(collection, *bounds, limit=QUERY_ITEMS, descending=down)
            found += [item for item in items if item[sort_key] not in passed and keep(item)]
            if items:
                passed.add(items[-1][sort_key])
                bounds[down] = items[-1][sort_key].removeprefix(collection.prefix)
        shown = found[:limit]
        return Page(shown[::-1] if backwards else shown, len(found) > limit)

    async def between(self, collection: Collection, first: str, before: str) -> list[Item]:
        """All items whose sort keys are from `first` on and below `before`."""
        sort_key = collection.names[1]
        found: dict[str, Item] = {}
        more = True
        while more:
            items, more = await self._query(collection, first, before, limit=RANGE_ITEMS)
            # The last item of a page is the first of the next, perhaps changed since.
            found |= {item[sort_key]: item for item in items}
            if items:
                first = items[-1][sort_key].removeprefix(collection.prefix)
        return [item for name, item in found.items() if name != collection.prefix + before]

    async def commit(
        self,
        organization_id: str,
        actor: Actor,
        writes: Sequence[Write],
        events: Sequence[Event],
        fences: Sequence[Write] = (),
    ) -> None:
        """All writes with their entries in the audit log, or nothing. Raises ConflictError.

        fences: checks that hold for the whole change; one of an item that is written itself is left out.
        """
        written = {write.address for write in writes}
        parts: list[Write] = [fence for fence in fences if fence.address not in written]
        parts += writes
        parts += [Create(entry(organization_id, actor, event)) for event in events]
        try:
            await answered(self._client.transact_write_items(TransactItems=actions(self._name, parts)))
        except ClientError as refused:
            told: Any = refused.response.get("CancellationReasons") or []
            codes = [reason.get("Code") for reason in told]
            if not {*codes} & {"ConditionalCheckFailed", "TransactionConflict"}:
                raise TableUnavailableError("the transaction was refused") from None
            failed = [
                part for part, code in zip(parts, codes, strict=False) if code == "ConditionalCheckFailed"
            ]
            raise ConflictError(failed) from None

    async def _query(
        self, collection: Collection, first: str, last: str, *, limit: int, descending: bool = False
    ) -> tuple[list[Item], bool]:
        """Some of the items from `first` to `last`, and whether there are more."""
        partition, sort = collection.names
        answer = await answered(
            self._client.query(
                TableName=self._name,
                **({"IndexName": "gsi1"} if collection.index else {"ConsistentRead": True}),
                KeyConditionExpression="#pk = :pk AND #sk BETWEEN :first AND :last",
                ExpressionAttributeNames={"#pk": partition, "#sk": sort},
                ExpressionAttributeValues={
                    ":pk": attribute(collection.pk),
                    ":first": attribute(collection.prefix + first),
                    ":last": attribute(collection.prefix + last),
                },
                ScanIndexForward=not descending,
                Limit=limit,
            )
        )
        return [plain(item) for item in answer["Items"]], "LastEvaluatedKey" in answer


def page_of(
    items: Iterable[Item],
    *,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    descending: bool = False,
) -> Page:
    """As `Store.page`, of items that are at hand."""
    backwards = before is not None and after is None
    asked = sorted(items, key=lambda item: str(item["id"]), reverse=descending)
    for cursor, later in ((after, not descending), (before, descending)):
        if cursor is not None:
            asked = [item for item in asked if (item["id"] > cursor if later else item["id"] < cursor)]
    shown = asked[-limit:] if backwards else asked[:limit]
    return Page(shown, len(asked) > limit)


async def settled(change: Callable[[], Awaitable[T]]) -> T:
    """What a change answers that reads, decides and commits: made again while others are faster.

    Raises ApiError (409) when they always are.
    """
    pause_s = FIRST_PAUSE_S
    for _ in range(ATTEMPTS):
        try:
            return await change()
        except ConflictError:
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311
            pause_s *= 2
    raise refusals.conflict()


def _inner(cursor: str, bound: str, *, up: bool) -> str:
    """The narrower of two bounds."""
    return max(cursor, bound) if up else min(cursor, bound)
