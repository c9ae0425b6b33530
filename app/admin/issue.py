"""A project's API key from the operator's side, without the Administration API: the same items, by boto3.

It leaves what the API would: a service account with one key, and entries of the audit log.
"""

from typing import TYPE_CHECKING, Any

from app.admin import items
from app.admin.audit import OPERATOR, Event, entry, key_created
from app.admin.layout import Address, Item, organization_address, plain, project_address
from app.admin.writes import Check, Create, Write, actions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT_ORGANIZATION_ID = "org-default"
"""A stack's one organization, unless somebody makes others."""


def issue(
    client: "DynamoDBClient",
    table_name: str,
    pepper: str,
    *,
    organization_id: str,
    project_id: str,
    project_name: str,
    key_name: str,
    requests_per_minute: int | None = None,
) -> str:
    """Stores a new key, and its project and organization when those are missing; returns the key's text, this
    one time.

    `client` is a boto3 DynamoDB client. Raises what boto3 raises when the table cannot be written.
    """
    organization, project = organization_address(organization_id), project_address(project_id)
    if read(client, table_name, organization) is None:
        _unless_there(client, table_name, Create(items.new_organization(organization_id, organization_id)))
    known = read(client, table_name, project)
    if known is None:
        made = items.new_project(organization_id, project_name, project_id)
        created = Event(
            "project.created",
            project_id,
            {"data": {"name": project_name, "title": project_name}},
            after={"name": project_name},
            project=made,
        )
        if _unless_there(client, table_name, Create(made), entry(organization_id, OPERATOR, created)):
            known = made
        else:
            known = read(client, table_name, project)
    owner = {"id": project_id, "organization_id": organization_id, "name": (known or {}).get("name")}
    account = items.new_service_account(owner, key_name, "member")
    text, key, account = items.new_project_key(
        pepper, account, name=key_name, requests_per_minute=requests_per_minute
    )
    told = (
        Event(
            "service_account.created",
            account["id"],
            {"data": {"role": "member"}},
            after={"name": key_name},
            project=owner,
        ),
        key_created(key, owner),
    )
    entries = [Create(entry(organization_id, OPERATOR, event)) for event in told]
    write(client, table_name, [Check(project), Create(account), Create(key), *entries])
    return text


def read(client: "DynamoDBClient", table_name: str, address: Address) -> Item | None:
    """An item as it is now."""
    answer: Any = client.get_item(TableName=table_name, Key=address.key(), ConsistentRead=True)
    return plain(answer["Item"]) if "Item" in answer else None


def write(client: "DynamoDBClient", table_name: str, writes: list[Write]) -> None:
    """All of them, or none: raises TransactionCanceledException when a condition does not hold."""
    made: Any = actions(table_name, writes)
    client.transact_write_items(TransactItems=made)


def _unless_there(client: "DynamoDBClient", table_name: str, create: Create, *entries: Item) -> bool:
    """Whether this made the item; somebody else may have been first."""
    try:
        write(client, table_name, [create, *(Create(one) for one in entries)])
    except client.exceptions.TransactionCanceledException:
        if read(client, table_name, create.address) is None:
            raise
        return False
    return True
