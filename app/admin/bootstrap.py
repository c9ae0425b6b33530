"""The first owner's admin key: how it gets in, and how it ends.

Its value is made by whoever seeds the stack's secrets and stays in Secrets Manager. The table holds its hash,
as of every key, and a user of its own with the role owner, so a task neither reads nor knows the value. When
a person has become owner, the transaction that makes them one ends the bootstrap (`closing`): its user is
removed, with which its keys are good for nothing, and the organization's item remembers it, so that seeding
again does not bring it back. Each key that is let in has a new user, whom the organization's item names, so
that none lets a former one in again, nor any key that was made with it.
"""

from typing import TYPE_CHECKING, Literal

from app.admin import items
from app.admin.audit import OPERATOR, Event, entry, key_created
from app.admin.issue import read, write
from app.admin.layout import Address, Item, admin_key_address, organization_address, user_address
from app.admin.writes import Create, Delete, Forget, Update, Write
from app.ids import new_id
from app.keys import hash_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

USER_PREFIX = "user-bootstrap-"
USER_ID = "bootstrap_user_id"
CLOSED_AT = "bootstrap_closed_at"
"""Of the organization's item: whose key is let in, and when an owner has taken over."""

SHOWN_AT = "key_shown_at"
ATTEMPTS = 3

Admission = Literal["let in", "taken over", "deleted"]


def admit(
    client: "DynamoDBClient",
    table_name: str,
    pepper: str,
    key: str,
    organization_id: str,
    *,
    reopen: bool = False,
) -> Admission:
    """Lets the bootstrap key in, in place of the one before it; does nothing when that is so already.

    "taken over": an owner has, and only `reopen` lets the key in then. "deleted": the key was, and only
    another takes its place. `client` is a boto3 DynamoDB client; raises what it raises.
    """
    key_hash = hash_key(pepper, key)
    for attempt in range(1, ATTEMPTS + 1):
        organization = read(client, table_name, organization_address(organization_id))
        if organization is not None and CLOSED_AT in organization and not reopen:
            return "taken over"
        user = _user(client, table_name, organization)
        if user is not None and user["key_hash"] == key_hash:
            return "let in" if read(client, table_name, admin_key_address(key_hash)) else "deleted"
        writes = _writes(pepper, key, organization_id, organization, user)
        try:
            write(client, table_name, writes)
        except client.exceptions.TransactionCanceledException:
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return "let in"


def first_showing(client: "DynamoDBClient", table_name: str, organization_id: str) -> bool:
    """Whether the key that is let in may be shown, which it may once: of two who ask, one.

    Another key that takes its place may be shown again. Raises what the boto3 client raises.
    """
    for attempt in range(1, ATTEMPTS + 1):
        organization = read(client, table_name, organization_address(organization_id))
        user = _user(client, table_name, organization)
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
    ended: list[Write] = [Update(organization, {**organization, CLOSED_AT: items.now(), USER_ID: None})]
    return [*ended, Delete(user)] if user is not None else ended


def bootstrap_address(organization: Item) -> Address | None:
    """Of the user whose key is let in; None when none is."""
    user_id = organization.get(USER_ID)
    return user_address(organization["pk"].removeprefix("ORG#"), user_id) if user_id else None


def is_bootstrap(user_id: str) -> bool:
    """Whether it is the id of such a user, and of no person."""
    return user_id.startswith(USER_PREFIX)


def _user(client: "DynamoDBClient", table_name: str, organization: Item | None) -> Item | None:
    address = bootstrap_address(organization) if organization is not None else None
    return read(client, table_name, address) if address is not None else None


def _writes(
    pepper: str, key: str, organization_id: str, organization: Item | None, former: Item | None
) -> list[Write]:
    user = items.new_user(
        organization_id,
        name="Bootstrap owner",
        email=None,
        role=items.OWNER,
        user_id=new_id(USER_PREFIX),
    )
    _, made = items.new_admin_key(pepper, user, name="Bootstrap", key=key)
    user["key_hash"] = hash_key(pepper, key)
    known = organization or items.new_organization(organization_id, organization_id)
    named = {**known, CLOSED_AT: None, USER_ID: user["id"]}
    writes: list[Write] = [
        Create(named) if organization is None else Update(organization, named),
        Create(user),
        Create(made),
    ]
    events = [
        Event("user.added", user["id"], {"data": {"role": items.OWNER}}),
        key_created(made),
    ]
    if former is not None:
        writes += [Delete(former), Forget(admin_key_address(former["key_hash"]))]
        events.insert(0, Event("user.deleted", former["id"]))
    return [*writes, *(Create(entry(organization_id, OPERATOR, event)) for event in events)]
