"""Conditional writes as data: each on the condition that its item is as it was read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.admin.layout import Address, Item, attribute, attributes

MAX_WRITES = 100
"""Of one transaction of DynamoDB."""


@dataclass(frozen=True, slots=True)
class Create:
    """An item that is not there yet."""

    item: Item

    @property
    def address(self) -> Address:
        return Address.of(self.item)

    def action(self, table_name: str) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": table_name,
                "Item": attributes({**self.item, "version": 1}),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }


@dataclass(frozen=True, slots=True)
class Update:
    """An item as it was read, and as it shall be. Attributes that both have alike are not touched."""

    before: Item
    after: Item

    @property
    def address(self) -> Address:
        return Address.of(self.before)

    def action(self, table_name: str) -> dict[str, Any]:
        names, values = {"#version": "version"}, {":version": attribute(self.before.get("version", 0) + 1)}
        changed, removed = ["#version = :version"], []
        for position, name in enumerate(sorted({*self.before, *self.after} - {"version"})):
            before, after = self.before.get(name), self.after.get(name)
            if before == after:
                continue
            names[f"#n{position}"] = name
            if after is None:
                removed.append(f"#n{position}")
            else:
                changed.append(f"#n{position} = :v{position}")
                values[f":v{position}"] = attribute(after)
        expression = "SET " + ", ".join(changed)
        if removed:
            expression += " REMOVE " + ", ".join(removed)
        condition = _unchanged(self.before)
        return {
            "Update": {
                "TableName": table_name,
                "Key": self.address.key(),
                "UpdateExpression": expression,
                "ConditionExpression": condition["ConditionExpression"],
                "ExpressionAttributeNames": {**names, **condition["ExpressionAttributeNames"]},
                "ExpressionAttributeValues": {**values, **condition.get("ExpressionAttributeValues", {})},
            }
        }


@dataclass(frozen=True, slots=True)
class Delete:
    """An item as it was read."""

    before: Item

    @property
    def address(self) -> Address:
        return Address.of(self.before)

    def action(self, table_name: str) -> dict[str, Any]:
        return {"Delete": {"TableName": table_name, "Key": self.address.key(), **_unchanged(self.before)}}


@dataclass(frozen=True, slots=True)
class Forget:
    """An item that need not be there any more, whatever it is by now."""

    address: Address

    def action(self, table_name: str) -> dict[str, Any]:
        return {"Delete": {"TableName": table_name, "Key": self.address.key()}}


@dataclass(frozen=True, slots=True)
class Check:
    """An item that must be there while others are written.

    equal: attributes and what they must be; one within an object by the tuple of names that lead to it.
    """

    address: Address
    equal: Mapping[Any, Any] = field(default_factory=dict)

    def action(self, table_name: str) -> dict[str, Any]:
        names: dict[str, str] = {}
        values: dict[str, Any] = {}
        tests = ["attribute_exists(pk)"]
        for number, (path, value) in enumerate(self.equal.items()):
            places = {f"#n{number}_{depth}": name for depth, name in enumerate(_names(path))}
            names |= places
            values[f":v{number}"] = attribute(value)
            tests.append(f"{'.'.join(places)} = :v{number}")
        check: dict[str, Any] = {
            "TableName": table_name,
            "Key": self.address.key(),
            "ConditionExpression": " AND ".join(tests),
        }
        if names:
            check |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        return {"ConditionCheck": check}

    def holds(self, item: Item) -> bool:
        """The same of an item that was read."""
        for path, value in self.equal.items():
            found: Any = item
            for name in _names(path):
                found = found.get(name) if isinstance(found, dict) else None
            if found != value:
                return False
        return True


Write = Create | Update | Delete | Forget | Check


def actions(table_name: str, writes: Iterable[Write]) -> list[dict[str, Any]]:
    """The TransactItems of a transaction. Raises ValueError when they are too many for one."""
    made = [write.action(table_name) for write in writes]
    if len(made) > MAX_WRITES:
        raise ValueError(f"{len(made)} writes do not fit into one transaction")
    return made


def _names(path: str | tuple[str, ...]) -> tuple[str, ...]:
    return (path,) if isinstance(path, str) else path


def _unchanged(before: Item) -> dict[str, Any]:
    """Items that were written by other hands may have no version yet."""
    if "version" not in before:
        return {
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#read)",
            "ExpressionAttributeNames": {"#read": "version"},
        }
    return {
        "ConditionExpression": "#read = :read",
        "ExpressionAttributeNames": {"#read": "version"},
        "ExpressionAttributeValues": {":read": attribute(before["version"])},
    }
