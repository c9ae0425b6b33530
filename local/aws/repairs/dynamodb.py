"""DynamoDB: moto's writes are not isolated from each other, and a transaction copies its whole table.

Requests run in threads: an update that adds to a number can lose another's, and a transaction that fails puts
back a copy from before it, with everything else that was written since. Here one request at a time touches
the tables, and a transaction that fails puts back its own items only. A query also sorts the whole table by
comparisons in Python, half a second of 20,000 items; here it looks at its own partition.
"""

import copy
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from local.aws.repairs.patch import patch

ONE_AT_A_TIME = ("put_item", "get_item", "query", "scan", "update_item", "delete_item")

_lock = threading.RLock()
_in_transaction = threading.local()
_in_query = threading.local()
_MARK = "_is_repaired"


def repair() -> None:
    if getattr(DynamoDBBackend.transact_write_items, _MARK, False):
        return
    write = DynamoDBBackend.transact_write_items

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        with _lock:
            before = [_kept(self, item) for item in transact_items]
            _in_transaction.running = True
            try:
                write(self, transact_items)
            except BaseException:
                for put_back in before:
                    put_back()
                raise
            finally:
                _in_transaction.running = False

    setattr(transact_write_items, _MARK, True)
    patch(
        DynamoDBBackend,
        transact_write_items=transact_write_items,
        **{name: _alone(getattr(DynamoDBBackend, name)) for name in ONE_AT_A_TIME},
    )
    patch(Table, __deepcopy__=_deepcopy, all_items=_all_items, query=_of_one_partition(Table.query))


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def alone(*arguments: Any, **named: Any) -> Any:
        with _lock:
            return method(*arguments, **named)

    return alone


def _deepcopy(table: Any, memo: dict[int, Any]) -> Any:
    """A transaction's copy of its table is the table: what it changes is put back item by item."""
    if getattr(_in_transaction, "running", False):
        return table
    twin = table.__class__.__new__(table.__class__)
    memo[id(table)] = twin
    twin.__dict__.update(copy.deepcopy(table.__dict__, memo))
    return twin


def _of_one_partition(query: Callable[..., Any]) -> Callable[..., Any]:
    """While a query runs, the table's items are those that its hash key condition lets through."""

    signature = inspect.signature(query)

    @functools.wraps(query)
    def of_one_partition(table: Any, *arguments: Any, **named: Any) -> Any:
        bound = signature.bind(table, *arguments, **named).arguments
        hash_key, conditions = bound["hash_key"], bound.get("hash_key_conditions") or ()
        if bound.get("index_name") is None:
            _in_query.items = list(table.items.get(hash_key, {}).values()) if table.range_key_attr else None
        else:
            _in_query.items = _unsorted(table)
            for name, wanted in conditions:
                # moto's own comparison casts both sides, which takes ten times as long.
                _in_query.items = [
                    item
                    for item in _in_query.items
                    if (found := item.attrs.get(name)) is not None and found.value == wanted.value
                ]
        try:
            return query(table, *arguments, **named)
        finally:
            _in_query.items = None

    return of_one_partition


def _all_items(table: Any) -> list[Any]:
    found: list[Any] | None = getattr(_in_query, "items", None)
    if found is not None:
        return found
    ranged = bool(table.range_key_attr)
    return sorted(
        _unsorted(table),
        key=lambda item: (item.hash_key.value, item.range_key.value if ranged else ""),
    )


def _unsorted(table: Any) -> list[Any]:
    if not table.range_key_attr:
        return list(table.items.values())
    return [item for items in table.items.values() for item in items.values()]


def _kept(backend: Any, item: dict[str, Any]) -> Callable[[], None]:
    """Remembers the item that an action of a transaction is about; returns what puts it back."""
    operation = next(iter(item.values()))
    table = backend.tables.get(operation.get("TableName"))
    address = operation.get("Key") or operation.get("Item") or {}
    if table is None or table.hash_key_attr not in address:
        return lambda: None
    ranged = table.range_key_attr in address if table.range_key_attr else False
    of_hash = DynamoType(address[table.hash_key_attr])
    of_range = DynamoType(address[table.range_key_attr]) if ranged else None
    found = table.items.get(of_hash)
    if found is not None and of_range is not None:
        found = found.get(of_range)
    saved = copy.deepcopy(found)

    def put_back() -> None:
        owner, name = (table.items, of_hash) if of_range is None else (table.items[of_hash], of_range)
        if saved is None:
            owner.pop(name, None)
        else:
            owner[name] = saved
        if of_range is not None and not table.items[of_hash]:
            del table.items[of_hash]

    return put_back
