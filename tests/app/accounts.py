"""An organization of a test's own, and what the table and Valkey say of its money."""

import asyncio
import json
import secrets
import struct
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import redis

from app.admin.issue import issue
from app.admission.charge import bounds
from app.admission.script import keys
from app.endpoints import CHAT_COMPLETIONS
from app.limits import NO_LIMITS, Limits, limits_attributes
from app.prices import Prices
from app.project_settings import ProjectSettings, settings_attribute
from tests.app.conftest import PEPPER, TABLE, Aws
from tests.servers import ValkeyServer, until

MODEL = "gpt-4o-mini"
PRICES = Prices({})

_PROJECTS: defaultdict[str, set[str]] = defaultdict(set)
"""Of organizations that tests made."""


def usage_records(aws: Aws, *project_ids: str) -> dict[str, dict[str, Any]]:
    """What the table has of the requests of projects, by request id; just after midnight, of both days."""
    query = aws.client("dynamodb").get_paginator("query")
    now = time.time()
    found = [
        _plain(item)
        for project_id in project_ids
        for date in {time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (now, now - 300)}
        for page in query.paginate(
            TableName=TABLE,
            IndexName="gsi1",
            KeyConditionExpression="gsi1pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"USAGE#{project_id}#{date}"}},
        )
        for item in page["Items"]
    ]
    return {item["request_id"]: item for item in found}


@dataclass
class Account:
    """An organization with one project and one key; `limits` of the project to begin with."""

    aws: Aws
    limits: Limits = NO_LIMITS
    organization_limits: Limits = NO_LIMITS
    organization_id: str = field(default_factory=lambda: f"org-{secrets.token_hex(4)}")
    project_id: str = field(default_factory=lambda: f"proj_{secrets.token_hex(4)}")
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _PROJECTS[self.organization_id].add(self.project_id)
        self.key = issue(
            self.aws.client("dynamodb"),
            TABLE,
            PEPPER,
            organization_id=self.organization_id,
            project_id=self.project_id,
            project_name="Test",
            key_name="test",
        )
        self.limit_project(self.limits)
        if self.organization_limits != NO_LIMITS:
            self.limit_organization(self.organization_limits)

    def limit_project(self, limits: Limits, status: str = "active") -> None:
        self._put_project({"status": {"S": status}, **limits_attributes(limits)})

    def choose(self, settings: ProjectSettings) -> None:
        attributes = {**limits_attributes(self.limits), **settings_attribute(settings)}
        self._put_project({"status": {"S": "active"}, **attributes})

    def _put_project(self, attributes: dict[str, Any]) -> None:
        organization = {"organization_id": {"S": self.organization_id}}
        self._put(f"PROJECT#{self.project_id}", "PROJECT", {**organization, **attributes})

    def limit_model(self, model: str, limits: Limits) -> None:
        self._put(f"PROJECT#{self.project_id}", f"RATE_LIMIT#{model}", limits_attributes(limits))

    def limit_organization(self, limits: Limits) -> None:
        self._put(f"ORG#{self.organization_id}", "ORG", limits_attributes(limits))

    def _put(self, pk: str, sk: str, attributes: dict[str, Any]) -> None:
        self.aws.client("dynamodb").put_item(
            TableName=TABLE, Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes}
        )

    def records(self) -> dict[str, dict[str, Any]]:
        """What the table has of this organization's requests, by request id."""
        return usage_records(self.aws, *_PROJECTS[self.organization_id])

    def recorded(self, count: int, within_s: float = 20.0) -> dict[str, dict[str, Any]]:
        """The same, once there are so many."""
        return until(
            lambda: found if len(found := self.records()) >= count else None, within_s, f"{count} records"
        )

    def totals(self) -> dict[str, dict[str, Any]]:
        """This month's sums in the table by scope."""
        answer = self.aws.client("dynamodb").query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={
                ":pk": {"S": f"SPEND#{self.organization_id}#{time.strftime('%Y-%m', time.gmtime())}"}
            },
        )
        return {item["sk"]["S"]: _plain(item) for item in answer["Items"]}

    def budgets(self, server: ValkeyServer) -> dict[str, tuple[int, int]]:
        """(spent, held) of each budget in Valkey, in micro-dollars."""
        with valkey_client(server) as client:
            found: Any = client.hgetall(keys(self.organization_id)[0])
        numbers = {
            name.decode(): struct.unpack("<3d", value) for name, value in found.items() if name[:2] == b"b:"
        }
        return {name: (int(spent), int(held)) for name, (_month, spent, held) in numbers.items()}

    def forget(self, server: ValkeyServer) -> None:
        """Valkey loses its memory of the organization."""
        with valkey_client(server) as client:
            names: Any = list(client.scan_iter(f"admission:{{{self.organization_id}}}*"))
            client.delete(*names)

    def held_by(self, server: ValkeyServer) -> int:
        """How many leases there are."""
        with valkey_client(server) as client:
            count: Any = client.zcard(keys(self.organization_id)[1])
        return int(count)


def valkey_client(server: ValkeyServer) -> "redis.Redis":
    return redis.Redis(host="127.0.0.1", port=server.port, username=server.username, password=server.password)


def body(text: str = "tell me", **fields: Any) -> bytes:
    """A request that no cache answers."""
    given = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 20, **fields}
    return json.dumps(given).encode()


def reserved_for(request: bytes) -> int:
    """Micro-dollars that are held for a request."""
    parsed = CHAT_COMPLETIONS.parse(request)
    price = PRICES.of(parsed)
    assert price is not None
    most = bounds(parsed, price)
    return price.bound(most.prompt_tokens, most.answer_tokens)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def code(self) -> str | None:
        code: str | None = json.loads(self.text)["error"]["code"] if self.status >= 400 else None
        return code


async def post(client: aiohttp.ClientSession, url: str, key: str, request: bytes) -> Reply:
    async with client.post(
        f"{url}/v1/chat/completions",
        data=request,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    ) as answer:
        return Reply(answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.text())


async def post_all(urls: list[str], key: str, requests: list[bytes]) -> list[Reply]:
    """All at once, in turns over the replicas."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        return await asyncio.gather(
            *(post(client, urls[index % len(urls)], key, one) for index, one in enumerate(requests))
        )


def statuses(replies: list[Reply]) -> Counter[int]:
    return Counter(reply.status for reply in replies)


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in item.items():
        ((kind, content),) = value.items()
        plain[name] = int(content) if kind == "N" else content
    return plain
