"""Alerts of what the organization or a project has spent in a month, in cents; told by `app/alerts.py`.

They are a list in their holder's item, each an object with `id`, `threshold_micro_usd`, `recipients` and
perhaps `subject_prefix`.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from app.admin.call import Call, Request, deleted, listed
from app.admin.holders import Shown, changed, holder
from app.admin.items import OWNER, READER
from app.admin.layout import Item
from app.admin.parameters import Cursor, Email, PageParameters, Parameters
from app.admin.refusals import missing
from app.admin.spend_limits import MICRO_PER_CENT
from app.admin.store import page_of
from app.errors import invalid_request
from app.ids import new_id
from app.limits import MOST_MICRO_USD

MAX_ALERTS = 20
MAX_RECIPIENTS = 20
MAX_PREFIX_CHARACTERS = 40
ATTRIBUTE = "spend_alerts"


def _prefix(value: str) -> str:
    if not value.strip() or not value.isascii() or not value.isprintable():
        raise ValueError("must be printable ASCII, as subjects of SNS are, and not blank")
    return value


Recipients = Annotated[list[Email], Field(min_length=1, max_length=MAX_RECIPIENTS)]
SubjectPrefix = Annotated[str, Field(max_length=MAX_PREFIX_CHARACTERS), AfterValidator(_prefix)]


class NotificationChannel(Parameters):
    type: Literal["email"]
    recipients: Recipients
    subject_prefix: SubjectPrefix | None = None


class SpendAlert(Parameters):
    currency: Literal["USD"]
    interval: Literal["month"]
    notification_channel: NotificationChannel
    threshold_amount: int = Field(ge=1, le=MOST_MICRO_USD // MICRO_PER_CENT)

    def item(self, alert_id: str) -> Item:
        return {
            "id": alert_id,
            "threshold_micro_usd": self.threshold_amount * MICRO_PER_CENT,
            "recipients": list(self.notification_channel.recipients),
            "subject_prefix": self.notification_channel.subject_prefix,
        }


class ListSpendAlerts(PageParameters):
    before: Cursor | None = None
    order: Literal["asc", "desc"] = "asc"


def shown(kind: str, alert: Item) -> dict[str, Any]:
    """As OpenAI's `OrganizationSpendAlert` and `ProjectSpendAlert`."""
    return {
        "object": f"{kind}.spend_alert",
        "id": alert["id"],
        "currency": "USD",
        "interval": "month",
        "threshold_amount": alert["threshold_micro_usd"] // MICRO_PER_CENT,
        "notification_channel": {
            "type": "email",
            "recipients": alert["recipients"],
            "subject_prefix": alert.get("subject_prefix"),
        },
    }


async def create(request: Request, body: SpendAlert) -> dict[str, Any]:
    made = body.item(new_id("alert_"))

    def edit(item: Item) -> Item:
        alerts = item.get(ATTRIBUTE, [])
        if len(alerts) >= MAX_ALERTS:
            raise invalid_request(
                f"There are {MAX_ALERTS} spend alerts already, which is the most. Delete one first.",
                code="too_many_spend_alerts",
            )
        return {**item, ATTRIBUTE: [*alerts, made]}

    return shown((await changed(request, edit, _told(request))).kind, made)


async def list_(request: Request, query: ListSpendAlerts) -> dict[str, Any]:
    found = await holder(request)
    page = page_of(
        found.item.get(ATTRIBUTE, []),
        after=query.after,
        before=query.before,
        limit=query.limit,
        descending=query.order == "desc",
    )
    return listed(page, lambda alert: shown(found.kind, alert))


async def retrieve(request: Request) -> dict[str, Any]:
    found = await holder(request)
    return shown(found.kind, _alert(request, found.item))


async def update(request: Request, body: SpendAlert) -> dict[str, Any]:
    asked = body.item(request.ids["alert_id"])

    def edit(item: Item) -> Item:
        known = _alert(request, item)
        return {**item, ATTRIBUTE: [asked if one is known else one for one in item[ATTRIBUTE]]}

    return shown((await changed(request, edit, _told(request))).kind, asked)


async def delete(request: Request) -> dict[str, Any]:
    def edit(item: Item) -> Item:
        known = _alert(request, item)
        return {**item, ATTRIBUTE: [one for one in item[ATTRIBUTE] if one is not known]}

    left = await changed(request, edit, _told(request))
    return deleted(f"{left.kind}.spend_alert", request.ids["alert_id"])


def _alert(request: Request, item: Item) -> Item:
    alert_id = request.ids["alert_id"]
    for alert in item.get(ATTRIBUTE, []):
        if alert["id"] == alert_id:
            found: Item = alert
            return found
    raise missing("spend alert", alert_id, "alert_id")


def _told(request: Request) -> Shown:
    kind = "project" if "project_id" in request.ids else "organization"
    return lambda item: {ATTRIBUTE: [shown(kind, alert) for alert in item.get(ATTRIBUTE, [])]}


_ORGANIZATION = "/organization/spend_alerts"
_PROJECT = "/organization/projects/{project_id}/spend_alerts"

CALLS = tuple(
    call
    for name, path in (("spend_alerts", _ORGANIZATION), ("projects.spend_alerts", _PROJECT))
    for call in (
        Call(f"{name}.create", "POST", path, OWNER, create),
        Call(f"{name}.list", "GET", path, READER, list_),
        Call(f"{name}.retrieve", "GET", f"{path}/{{alert_id}}", READER, retrieve),
        Call(f"{name}.update", "POST", f"{path}/{{alert_id}}", OWNER, update),
        Call(f"{name}.delete", "DELETE", f"{path}/{{alert_id}}", OWNER, delete),
    )
)
