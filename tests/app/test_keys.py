"""API keys: their text, their hash, and what the table holds of them."""

from typing import Any

from app.keys import KeyRecord, hash_key, key_address, key_item, looks_like_key, new_key, parse_key_item
from tests.app.conftest import ORGANIZATION, PEPPER, TABLE, Aws


def record(**changes: Any) -> tuple[str, KeyRecord]:
    return new_key(PEPPER, **{"organization_id": "org-1", "project_id": "proj_1", "name": "n", **changes})


def test_a_key_is_a_prefix_and_256_random_bits() -> None:
    keys = {record()[0] for _ in range(100)}
    assert len(keys) == 100
    assert all(looks_like_key(key) and len(key) == len("sk-gw-") + 43 for key in keys)


def test_only_the_form_of_a_key_looks_like_one() -> None:
    key = record()[0]
    assert not any(map(looks_like_key, ["", "sk-gw-", key[:-1], key + "x", "sk-proj" + key[7:], f"{key}\n"]))


def test_the_hash_depends_on_key_and_pepper() -> None:
    assert hash_key("a" * 43, "sk-gw-1") == hash_key("a" * 43, "sk-gw-1")
    assert (
        len({hash_key("a" * 43, "sk-gw-1"), hash_key("b" * 43, "sk-gw-1"), hash_key("a" * 43, "sk-gw-2")})
        == 3
    )


def test_a_record_survives_the_table() -> None:
    for limit in (None, 7):
        _, stored = record(requests_per_minute=limit)
        assert parse_key_item(key_item(stored)) == stored


def test_an_unknown_status_keeps_a_key_out() -> None:
    item = key_item(record()[1])
    assert parse_key_item({**item, "status": {"S": "suspended"}}).status == "revoked"


def test_nothing_in_the_table_holds_the_key(aws: Aws) -> None:
    key = aws.new_key()
    items = aws.client("dynamodb").scan(TableName=TABLE)["Items"]
    assert key not in repr(items)
    assert key[6:40] not in repr(items)


def test_issuing_writes_the_project_once_and_keeps_what_it_is(aws: Aws) -> None:
    client = aws.client("dynamodb")
    project = {"pk": {"S": "PROJECT#proj_kept"}, "sk": {"S": "PROJECT"}}
    aws.new_key(project_id="proj_kept")
    client.update_item(
        TableName=TABLE,
        Key=project,
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":n": {"S": "Renamed"}},
    )
    key = aws.new_key(project_id="proj_kept", requests_per_minute=5)
    assert client.get_item(TableName=TABLE, Key=project)["Item"]["name"] == {"S": "Renamed"}
    item = client.get_item(TableName=TABLE, Key=key_address(hash_key(PEPPER, key)))["Item"]
    stored = parse_key_item(item)
    assert (stored.organization_id, stored.project_id) == (ORGANIZATION, "proj_kept")
    assert (stored.status, stored.limits.requests_per_minute) == ("active", 5)
    assert stored.redacted == f"sk-…{key[-4:]}"
