"""The first owner's admin key: how it gets in, and how it ends.

Its value is made by whoever seeds the stack's secrets and stays in Secrets Manager. The table holds its hash,
as of every key, and a user of its own with the role owner, so a task neither reads nor knows the value. When
a person has become owner, the transaction that makes them one ends the bootstrap (`closing`): its user is
removed, with which its keys are good for nothing, and the organization's item remembers it, so that seeding
again does not bring it back.
"""

from typing import TYPE_CHECKING

from app.admin import items
from app.admin.audit import OPERATOR, Event, entry
from app.admin.issue import read, write
from app.admin.layout import Address, Item, admin_key_address, organization_address, user_address
from app.admin.writes import Create, Delete, Forget, Update, Write
from app.keys import hash_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USER_ID = "user-bootstrap"
CLOSED_AT = "bootstrap_closed_at"
SHOWN_AT = "key_shown_at"
ATTEMPTS = 3


def admit(
    client: "DynamoDBClient",
    table_name: str,
    pepper: str,
    key: str,
    organization_id: str,
    *,
    reopen: bool = False,
) -> bool:
    """Lets the bootstrap key in, in place of the one before it; does nothing when that is so already.

    False when an owner has taken over: only `reopen` lets the key in then. `client` is a boto3 DynamoDB
    client; raises what it raises.
    """
    for attempt in range(1, ATTEMPTS + 1):
        organization = read(client, table_name, organization_address(organization_id))
        user = read(client, table_name, user_address(organization_id, USER_ID))
        if organization is not None and CLOSED_AT in organization and not reopen:
            return False
        if user is not None and user["key_hash"] == hash_key(pepper, key):
            return True
        writes = _writes(pepper, key, organization_id, organization, user)
        try:
            write(client, table_name, writes)
        except client.exceptions.TransactionCanceledException:
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return True


def first_showing(client: "DynamoDBClient", table_name: str, organization_id: str) -> bool:
    """Whether the key that is let in may be shown, which it may once: of two who ask, one.

    Another key that takes its place may be shown again. Raises what the boto3 client raises.
    """
    for attempt in range(1, ATTEMPTS + 1):
        user = read(client, table_name, bootstrap_address(organization_id))
        if user is None or SHOWN_AT in user:
            return False
        try:
            write(client, table_name, [Update(user, {**user, SHOWN_AT: items.now()})])
        except client.exceptions.TransactionCanceledException:
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return True


def closing(organization: Item, user: Item | None) -> list[Write]:
    """Writes that end the bootstrap, for the transaction that makes a first owner.

    organization, user: the items of `organization_address` and `bootstrap_address` as they were read.
    """
    if CLOSED_AT in organization:
        return []
    ended: list[Write] = [Update(organization, {**organization, CLOSED_AT: items.now()})]
    return [*ended, Delete(user)] if user is not None else ended


def bootstrap_address(organization_id: str) -> Address:
    return user_address(organization_id, USER_ID)


def _writes(
    pepper: str, key: str, organization_id: str, organization: Item | None, user: Item | None
) -> list[Write]:
    fresh = items.new_user(
        organization_id, name="Bootstrap owner", email=None, role=items.OWNER, user_id=USER_ID
    )
    _, made = items.new_admin_key(pepper, fresh, name="Bootstrap", key=key)
    fresh["key_hash"] = hash_key(pepper, key)
    events = [Event("api_key.created", made["id"], {"data": {"scopes": []}})]
    writes: list[Write] = [Create(made)]
    if organization is None:
        writes.append(Create(items.new_organization(organization_id, organization_id)))
    else:
        writes.append(Update(organization, {**organization, CLOSED_AT: None}))
    if user is None:
        writes.append(Create(fresh))
        events.insert(0, Event("user.added", USER_ID, {"data": {"role": items.OWNER}}))
    else:
        writes += [Update(user, {**user, "key_hash": fresh["key_hash"], SHOWN_AT: None})]
        writes += [Forget(admin_key_address(user["key_hash"]))]
    return [*writes, *(Create(entry(organization_id, OPERATOR, event)) for event in events)]
