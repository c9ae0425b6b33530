"""Tells people, through SNS, that a project or organization has passed a threshold; once a month each.

Off the way of requests: the ledger calls it with what has come into the table, and the month's total there
decides. Who tells is decided in the table as well, so two replicas do not both. Every replica that has seen a
threshold passed looks again until it was told: whoever claimed it may fail, or be gone.
Item: `SPEND#<organization>#<month>` / `ALERT#<scope>#<threshold>`.

SNS tells those who subscribe to the stack's topic. The recipients of an alert are named in its text, and in
the message attribute `recipients`, by which a subscription's filter policy can choose what is for whom.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import ClientError as HttpError
from botocore.exceptions import BotoCoreError, ClientError

from app.aws import DynamoDB, Sns
from app.ledger_record import UsageRecord, totals_address
from app.ledger_table import LedgerTable
from app.owners import Owners
from app.table import TableUnavailableError, answered
from app.telemetry import log_event, log_exception

CLAIMED_FOR_S = 60
PUBLISH_WITHIN_S = 3.0
LOOK_AGAIN_EVERY_S = 15.0
MAX_KNOWN = 10_000

Alert = tuple[str, str, str, int]
"""Organization, month (2026-11), scope (ORG or PROJECT#<id>), threshold in micro-dollars."""


@dataclass(frozen=True, slots=True)
class Channel:
    """recipients: e-mail addresses. subject_prefix: "" for none."""

    recipients: tuple[str, ...] = ()
    subject_prefix: str = ""


NOBODY_IN_PARTICULAR = Channel()


class OwnersSource(Protocol):
    async def owners(self, organization_id: str, project_id: str) -> Owners | None: ...


class Alerts:
    """Thresholds of budgets. Between `open` and `close` what was not told is told later."""

    def __init__(
        self,
        owners: OwnersSource,
        ledger: LedgerTable,
        dynamodb: DynamoDB,
        table_name: str,
        sns: Sns,
        topic_arn: str,
        look_again_every_s: float = LOOK_AGAIN_EVERY_S,
    ) -> None:
        self._owners = owners
        self._ledger = ledger
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._sns = sns
        self._topic_arn = topic_arn
        self._look_again_every_s = look_again_every_s
        self._known: set[Alert] = set()
        # In the order in which they came; what is forgotten here comes again with its owner's next usage.
        self._untold: dict[Alert, None] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._look_again())

    async def close(self) -> None:
        """Stops looking; another replica, or the owner's next usage, sees to what was not told by now."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._look_again_every_s)
            try:
                for alert in list(self._untold):
                    await self._tell(alert, await self._ledger.spent(*alert[:3]))
            except TableUnavailableError as unavailable:
                log_event("alert_waits", level="warning", reason=unavailable.reason)
            except Exception as failure:
                log_exception("alerts_failed", failure)

    async def notice(self, organization_id: str, records: Sequence[UsageRecord]) -> None:
        """Called with records that are in the table now."""
        for month, project_id in sorted({(record.month, record.project_id) for record in records}):
            try:
                owners = await self._owners.owners(organization_id, project_id)
                if owners is None:
                    continue
                scopes = (
                    ("ORG", owners.organization.spend_alerts_micro_usd),
                    (f"PROJECT#{project_id}", owners.project.spend_alerts_micro_usd),
                )
                for scope, thresholds in scopes:
                    await self._compare(organization_id, month, scope, thresholds)
            except TableUnavailableError as unavailable:
                log_event("alert_waits", level="warning", reason=unavailable.reason)

    async def _compare(
        self, organization_id: str, month: str, scope: str, thresholds: tuple[int, ...]
    ) -> None:
        open_ones = [
            threshold
            for threshold in thresholds
            if (organization_id, month, scope, threshold) not in self._known
        ]
        if not open_ones:
            return
        spent = await self._ledger.spent(organization_id, month, scope)
        for threshold in open_ones:
            if spent >= threshold:
                await self._tell((organization_id, month, scope, threshold), spent)

    async def _tell(self, alert: Alert, spent: int) -> None:
        if alert not in self._untold and len(self._untold) < MAX_KNOWN:
            self._untold[alert] = None
        channel = await self._channel(alert)
        if await self._claim(alert):
            try:
                async with asyncio.timeout(PUBLISH_WITHIN_S):
                    await self._sns.publish(TopicArn=self._topic_arn, **message(alert, spent, channel))
            except (ClientError, BotoCoreError, HttpError, OSError, TimeoutError) as failed:
                log_event("alert_not_sent", level="error", reason=type(failed).__name__)
                await self._mark(alert, sent=False)
                return
            await self._mark(alert, sent=True)
            log_event("alert_sent", organization_id=alert[0], scope=alert[2], threshold_micro_usd=alert[3])
        elif not await self._is_sent(alert):
            return
        self._untold.pop(alert, None)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add(alert)

    async def _channel(self, alert: Alert) -> Channel:
        """Whom an alert is for, as its owner's item has it now; several of one threshold are told as one."""
        organization_id, _, scope, threshold = alert
        key = {"pk": f"ORG#{organization_id}", "sk": "ORG"}
        if scope != "ORG":
            key = {"pk": scope, "sk": "PROJECT"}
        answer = await answered(
            self._dynamodb.get_item(
                TableName=self._table_name,
                Key={name: {"S": value} for name, value in key.items()},
                ConsistentRead=True,
            )
        )
        alerts = [
            one["M"]
            for one in answer.get("Item", {}).get("spend_alerts", {}).get("L", ())
            if int(one["M"]["threshold_micro_usd"]["N"]) == threshold
        ]
        recipients = [one["S"] for alert in alerts for one in alert["recipients"]["L"]]
        prefixes = [alert["subject_prefix"].get("S") for alert in alerts if "subject_prefix" in alert]
        return Channel(tuple(dict.fromkeys(recipients)), next(filter(None, prefixes), ""))

    async def _claim(self, alert: Alert) -> bool:
        """Whether it is this replica's to tell, which it is for CLAIMED_FOR_S."""
        now = int(time.time())
        try:
            await answered(
                self._dynamodb.put_item(
                    TableName=self._table_name,
                    Item={
                        **_address(alert),
                        "sent": {"BOOL": False},
                        "claimed_at": {"N": str(now)},
                    },
                    ConditionExpression="attribute_not_exists(pk) OR (sent = :no AND claimed_at < :lost)",
                    ExpressionAttributeValues={
                        ":no": {"BOOL": False},
                        ":lost": {"N": str(now - CLAIMED_FOR_S)},
                    },
                )
            )
        except ClientError:
            return False
        return True

    async def _is_sent(self, alert: Alert) -> bool:
        answer = await answered(
            self._dynamodb.get_item(TableName=self._table_name, Key=_address(alert), ConsistentRead=True)
        )
        return bool(answer.get("Item", {}).get("sent", {}).get("BOOL"))

    async def _mark(self, alert: Alert, *, sent: bool) -> None:
        await answered(
            self._dynamodb.update_item(
                TableName=self._table_name,
                Key=_address(alert),
                UpdateExpression="SET sent = :sent, claimed_at = :at",
                ExpressionAttributeValues={
                    ":sent": {"BOOL": sent},
                    ":at": {"N": str(int(time.time())) if sent else "0"},
                },
            )
        )


def message(alert: Alert, spent: int, channel: Channel = NOBODY_IN_PARTICULAR) -> dict[str, Any]:
    """What SNS publishes; the subject is ASCII of 100 characters at most, as SNS wants it."""
    organization_id, month, scope, threshold = alert
    owner = (
        f"organization {organization_id}"
        if scope == "ORG"
        else f"project {scope.removeprefix('PROJECT#')} of {organization_id}"
    )
    subject = f"Spend alert: {owner} passed ${threshold / 1e6:.2f} in {month}"
    if channel.subject_prefix:
        subject = f"{channel.subject_prefix} {subject}"
    told = {}
    if channel.recipients:
        recipients = json.dumps(channel.recipients)
        told = {"MessageAttributes": {"recipients": {"DataType": "String.Array", "StringValue": recipients}}}
    return {
        "Subject": subject.encode("ascii", "replace").decode()[:100],
        "Message": (
            f"The {owner} has spent ${spent / 1e6:.2f} in {month} (UTC), which is above its alert threshold "
            f"of ${threshold / 1e6:.2f}.\nThis is told once a month for each threshold."
            + (f"\nFor: {', '.join(channel.recipients)}" if channel.recipients else "")
        ),
        **told,
    }


def _address(alert: Alert) -> dict[str, Any]:
    organization_id, month, scope, threshold = alert
    return totals_address(organization_id, month, f"ALERT#{scope}#{threshold}")
