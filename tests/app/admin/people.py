"""An organization of a test's own with people who administer it: an owner, a reader, and their keys."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
import pytest

from app.admin import items
from app.admin.issue import issue, write
from app.admin.layout import Item
from app.admin.writes import Create
from tests.app.admin.strict import StrictClient
from tests.app.conftest import PEPPER, TABLE, Aws, Gateway

_TRANSPORT = httpx2.Client(trust_env=False, timeout=30)
"""Of all clients: each of its own would load the trust store anew, which takes longer than a request."""


def refused(work: Callable[[], Any]) -> openai.APIStatusError:
    """What a call of the SDK is refused with."""
    with pytest.raises(openai.APIStatusError) as caught:
        work()
    return caught.value


@dataclass
class People:
    """An organization, made without the API so that its audit log is empty.

    table, pepper: of the gateway.
    """

    aws: Aws
    gateway: Gateway
    organization_id: str = field(default_factory=lambda: f"org-{secrets.token_hex(4)}")
    table: str = TABLE
    pepper: str = field(default=PEPPER, repr=False)
    owner: Item = field(init=False)
    owner_key: str = field(init=False, repr=False)
    reader: Item = field(init=False)
    reader_key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.owner, self.owner_key = self.add(items.OWNER, "owner@example.com")
        self.reader, self.reader_key = self.add(items.READER, "reader@example.com")

    def add(self, role: items.Role, email: str, **projects: items.ProjectRole) -> tuple[Item, str]:
        """A further user, and an admin key of theirs. projects: their role in each, by its id."""
        user = items.new_user(
            self.organization_id, name=f"A {role}", email=email, role=role, projects=projects
        )
        text, key = items.new_admin_key(self.pepper, user, name=f"{role}'s key")
        write(
            self.aws.client("dynamodb"),
            self.table,
            [Create(user), Create(items.new_email(user)), Create(key)],
        )
        return user, text

    def project_key(self) -> str:
        """A project's API key in this organization."""
        return issue(
            self.aws.client("dynamodb"),
            self.table,
            self.pepper,
            organization_id=self.organization_id,
            project_id=f"proj_{secrets.token_hex(4)}",
            project_name="Of a key",
            key_name="key",
        )

    def client(self, admin_key: str | None = None, *, url: str | None = None) -> StrictClient:
        """The SDK with an admin key, the owner's unless another is given."""
        return StrictClient(
            base_url=f"{url or self.gateway.url}/v1",
            api_key="not-sent",
            admin_api_key=admin_key or self.owner_key,
            max_retries=0,
            http_client=_TRANSPORT,
        )

    @property
    def api(self) -> Any:
        """`client.admin.organization` of the owner."""
        return self.client().admin.organization

    @property
    def readers_api(self) -> Any:
        return self.client(self.reader_key).admin.organization

    def ask(
        self, method: str, path: str, *, key: str | None = "owner's", body: object = None, **query: Any
    ) -> httpx2.Response:
        """A request of any form. path: below /v1. key: None for none at all."""
        sent = self.owner_key if key == "owner's" else key
        return _TRANSPORT.request(
            method,
            f"{self.gateway.url}/v1{path}",
            headers={"Authorization": f"Bearer {sent}"} if sent else {},
            params=query or None,
            json=body,
        )

    def last_entry(self) -> str | None:
        """What tells the latest entry of the audit log from others."""
        found = self.aws.client("dynamodb").query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
            ExpressionAttributeValues={
                ":pk": {"S": f"ORG#{self.organization_id}"},
                ":kind": {"S": "AUDIT#"},
            },
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        return found[0]["sk"]["S"] if found else None

    def log(self) -> list[dict[str, Any]]:
        """The audit log as it was written, the first entry first."""
        return [
            entry.model_dump(by_alias=True, exclude_unset=True)
            for entry in self.api.audit_logs.list(limit=100)
        ][::-1]
