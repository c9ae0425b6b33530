"""Thresholds are told once, whoever notices, and told after all when telling failed."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from app.admin.layout import attributes
from app.alerts import Alerts, message
from app.ledger_table import LedgerTable
from app.limits import NO_LIMITS, Limits
from app.owners import Owners
from tests.app.conftest import TABLE, Aws
from tests.app.test_ledger_table import ledger_client, record
from tests.servers import until


class People:
    """An SNS that fails on demand."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.failing = False
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def publish(self, **request: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.failing:
            raise EndpointConnectionError(endpoint_url="https://sns")
        self.told.append(request["Subject"])
        self.messages.append(request)
        return {}


class OneOwner:
    async def owners(self, organization_id: str, project_id: str) -> Owners | None:
        assert organization_id
        assert project_id
        alerts = Limits(spend_alerts_micro_usd=(10, 21, 1000))
        return Owners(True, NO_LIMITS, (), alerts)


def with_alerts(organization: str) -> dict[str, Any]:
    """An organization whose first threshold two alerts name, and its second none."""
    alerts = [
        {"id": "alert_1", "threshold_micro_usd": 10, "recipients": ["a@example.com", "b@example.com"]},
        {
            "id": "alert_2",
            "threshold_micro_usd": 10,
            "recipients": ["b@example.com"],
            "subject_prefix": "[web]",
        },
        {"id": "alert_3", "threshold_micro_usd": 11, "recipients": ["c@example.com"]},
    ]
    return attributes({"pk": f"ORG#{organization}", "sk": "ORG", "spend_alerts": alerts})


async def test_thresholds(aws: Aws) -> None:
    organization = f"org-{secrets.token_hex(4)}"
    people = People()
    async with ledger_client(aws) as client:
        table = LedgerTable(client, TABLE)
        replicas = [Alerts(OneOwner(), table, client, TABLE, people, "arn") for _ in range(3)]
        await table.begin_generation(organization, "g", "2026-11")
        await client.put_item(TableName=TABLE, Item=with_alerts(organization))

        async def spend(number: int) -> None:
            records = [record(number, organization)]
            await table.write(organization, "g", records)
            await asyncio.gather(*(replica.notice(organization, records) for replica in replicas))

        await spend(0)
        assert people.told == [], "7 of 10"
        people.failing = True
        await spend(1)
        assert people.told == []
        people.failing = False
        await spend(2)
        assert len(people.told) == 2, "10, made up for, and 21, exactly reached"
        first, second = sorted(people.messages, key=lambda message: "MessageAttributes" not in message)
        assert first["Subject"].startswith("[web] Spend alert:")
        assert second["Subject"].startswith("Spend alert:")
        assert first["Message"].endswith("For: a@example.com, b@example.com")
        recipients = first["MessageAttributes"]["recipients"]
        assert recipients == {
            "DataType": "String.Array",
            "StringValue": '["a@example.com", "b@example.com"]',
        }
        assert "MessageAttributes" not in second
        for number in range(3, 6):
            await spend(number)
        assert len(people.told) == 2


async def told_by(people: People, count: int) -> None:
    await asyncio.to_thread(until, lambda: len(people.told) >= count, 10.0, "the alert")


async def test_what_failed_to_be_told_is_told_later_without_any_more_usage(aws: Aws) -> None:
    organization = f"org-{secrets.token_hex(4)}"
    people = People()
    people.failing = True
    async with ledger_client(aws) as client:
        table = LedgerTable(client, TABLE)
        await table.begin_generation(organization, "g", "2026-11")
        alerts = Alerts(OneOwner(), table, client, TABLE, people, "arn", look_again_every_s=0.05)
        alerts.open()
        records = [record(number, organization) for number in range(2)]
        await table.write(organization, "g", records)
        await alerts.notice(organization, records)
        people.failing = False
        await told_by(people, 1)
        await alerts.close()


async def test_what_another_replica_claimed_and_did_not_tell_is_told_by_one_that_saw_it(aws: Aws) -> None:
    organization = f"org-{secrets.token_hex(4)}"
    people, unheard = People(), People()
    unheard.failing = True
    async with ledger_client(aws) as client:
        table = LedgerTable(client, TABLE)
        await table.begin_generation(organization, "g", "2026-11")
        gone = Alerts(OneOwner(), table, client, TABLE, unheard, "arn")
        other = Alerts(OneOwner(), table, client, TABLE, people, "arn", look_again_every_s=0.05)
        records = [record(number, organization) for number in range(2)]
        await table.write(organization, "g", records)
        unheard.meanwhile = lambda: other.notice(organization, records)
        await gone.notice(organization, records)
        assert people.told == [], "it was the other one's to tell"
        other.open()
        await told_by(people, 1)
        await other.notice(organization, records)
        await other.close()
        assert len(people.told) == 1


@pytest.mark.parametrize("organization", ["org-1", "org-ü", "org-" + "x" * 200])
def test_a_subject_is_one_that_sns_takes(organization: str) -> None:
    told = message((organization, "2026-11", "PROJECT#proj_1", 12_340_000), 12_345_678)
    assert told["Subject"].isascii()
    assert len(told["Subject"]) <= 100
    assert "$12.35" in told["Message"]
    assert "$12.34" in told["Message"]
