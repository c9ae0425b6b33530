"""Items and conditional writes in DynamoDB's form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.admin.layout import attributes, plain
from app.admin.writes import MAX_WRITES, Check, Create, Update, actions

VALUES: Any = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_an_item_survives_the_table(item: dict[str, Any]) -> None:
    assert plain(attributes(item)) == item


def test_what_is_none_is_left_out_of_an_item_and_kept_within() -> None:
    assert attributes({"a": None, "b": {"c": None}}) == {"b": {"M": {"c": {"NULL": True}}}}
    with pytest.raises(TypeError, match="holds no float"):
        attributes({"a": 1.5})


def test_an_update_touches_what_differs_and_counts() -> None:
    before = {"pk": "a", "sk": "b", "version": 3, "kept": 1, "name": "old", "gone": "x"}
    after = {"pk": "a", "sk": "b", "version": 3, "kept": 1, "name": "new", "more": [1]}
    update = Update(before, after).action("t")["Update"]
    names = update["ExpressionAttributeNames"]
    assert set(names.values()) == {"version", "name", "gone", "more"}
    assert {"N": "4"} in update["ExpressionAttributeValues"].values()
    assert update["UpdateExpression"].count("REMOVE") == 1
    assert update["ConditionExpression"] == "#read = :read"
    assert update["ExpressionAttributeValues"][":read"] == {"N": "3"}


def test_more_writes_than_a_transaction_takes_are_a_mistake() -> None:
    check = Check(Create({"pk": "a", "sk": "b"}).address)
    assert len(actions("t", [check] * MAX_WRITES)) == MAX_WRITES
    with pytest.raises(ValueError, match="do not fit into one transaction"):
        actions("t", [check] * (MAX_WRITES + 1))
