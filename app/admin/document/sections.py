"""The sections of the file: how each is read from the API, stands in the file, and is brought to the API.

A section's content is rows: values by their keys, which are what a person calls each (a model, a name, an
address). The organization and a project have them alike, below different roots of the API.
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from app.admin.document.door import Door, RefusedError
from app.admin.document.file import settings_document
from app.limits import MOST
from app.project_settings import ProjectSettings

ONE = ""
"""The key of a section that is a single value."""

LIMITS = ("max_requests_per_1_minute", "max_tokens_per_1_minute", "max_requests_per_1_day")
MONTHLY = {"currency": "USD", "interval": "month"}
NOTHING_DENIED = {"mode": "deny_list", "model_ids": []}


@dataclass(frozen=True, slots=True)
class Row:
    """value: as the file has it. id: the API's, where it has one."""

    value: Any
    id: str = ""


Rows = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose sections they are. path: of the organization or of a project. projects: ids of active projects to
    what the file calls each."""

    door: Door
    path: str
    projects: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A row that changes: as it is and as it shall be, None for not there."""

    key: str
    before: Row | None
    after: Any | None


class Section(ABC):
    """name: in the file. path: below that of its scope. kept: rows that the file does not have are left there
    unless somebody asks for their removal. merged: what a row of the file leaves out stays as it is."""

    name: str
    path: str
    kept = False
    merged = False

    @abstractmethod
    def rows(self, scope: Scope) -> Rows:
        """As the API has them. Raises RefusedError."""

    @abstractmethod
    def wanted(self, written: Any) -> dict[str, Any]:
        """As the checked file has them, dumped as JSON."""

    @abstractmethod
    def written(self, rows: Rows) -> Any:
        """The section of the file that has these rows."""

    def impossible(self, step: Step) -> str:  # noqa: ARG002
        """What the API would refuse a step for: the field of the row, the reason and the remedy."""
        return ""

    @abstractmethod
    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        """Makes changes; returns what a person has to know of them. Raises RefusedError."""


class Single(Section):
    """One value."""

    def wanted(self, written: Any) -> dict[str, Any]:
        return {} if written is None else {ONE: written}

    def written(self, rows: Rows) -> Any:
        return rows[ONE].value if rows else None

    def rows(self, scope: Scope) -> Rows:
        found = scope.door.find(scope.path + self.path)
        wanted = {} if found is None else self.wanted(self.value(found))
        return {key: Row(value) for key, value in wanted.items()}

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        for step in steps:
            if step.after is None:
                scope.door.delete(scope.path + self.path)
            else:
                scope.door.post(scope.path + self.path, self.body(step.after))
        return []

    @abstractmethod
    def value(self, answer: dict[str, Any]) -> Any: ...

    @abstractmethod
    def body(self, value: Any) -> dict[str, Any]: ...


class SpendLimit(Single):
    name = "spend_limit_usd"
    path = "/spend_limit"

    def value(self, answer: dict[str, Any]) -> str:
        return dollars(answer["threshold_amount"])

    def body(self, value: str) -> dict[str, Any]:
        return {**MONTHLY, "threshold_amount": cents(value)}


class DataRetention(Single):
    name = "data_retention"
    path = "/data_retention"

    def value(self, answer: dict[str, Any]) -> str:
        return str(answer["type"])

    def body(self, value: str) -> dict[str, Any]:
        return {"retention_type": value}


class ModelPermissions(Single):
    """To deny nothing is to have none."""

    name = "model_permissions"
    path = "/model_permissions"

    def wanted(self, written: Any) -> dict[str, Any]:
        return {} if written == NOTHING_DENIED else super().wanted(written)

    def value(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"mode": answer["mode"], "model_ids": answer["model_ids"]}

    def body(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class SpendAlerts(Section):
    name = "spend_alerts"
    path = "/spend_alerts"

    def rows(self, scope: Scope) -> Rows:
        found = [
            Row(
                {
                    "threshold_usd": dollars(alert["threshold_amount"]),
                    "recipients": alert["notification_channel"]["recipients"],
                    "subject_prefix": alert["notification_channel"].get("subject_prefix"),
                },
                alert["id"],
            )
            for alert in scope.door.all(scope.path + self.path)
        ]
        return numbered(found, "threshold_usd")

    def wanted(self, written: Any) -> dict[str, Any]:
        return {key: row.value for key, row in numbered(map(Row, written), "threshold_usd").items()}

    def written(self, rows: Rows) -> Any:
        return sorted((row.value for row in rows.values()), key=lambda alert: cents(alert["threshold_usd"]))

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        path = scope.path + self.path
        # Room first: there can be so many at once only.
        for step in sorted(steps, key=lambda step: step.after is not None):
            if step.after is None:
                scope.door.delete(f"{path}/{step.before.id}" if step.before else path)
            else:
                channel = {name: step.after[name] for name in ("recipients", "subject_prefix")}
                body = {
                    **MONTHLY,
                    "threshold_amount": cents(step.after["threshold_usd"]),
                    "notification_channel": {"type": "email", **channel},
                }
                scope.door.post(f"{path}/{step.before.id}" if step.before else path, body)
        return []


class RateLimits(Section):
    """The API has a row for every model that is served; in the file are those with a limit of their own."""

    name = "rate_limits"
    path = "/rate_limits"

    def rows(self, scope: Scope) -> Rows:
        # What a model shows without being its own holds for all models together, and stays when it goes.
        rows = {limit["model"]: Row(_limits(limit["own"]), limit["id"]) for limit in self._all(scope)}
        return {model: row for model, row in rows.items() if row.value}

    def wanted(self, written: Any) -> dict[str, Any]:
        rows = {limit["model"]: _limits(limit) for limit in written}
        return {model: limits for model, limits in sorted(rows.items()) if limits}

    def written(self, rows: Rows) -> Any:
        return [{"model": model, **row.value} for model, row in rows.items()]

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        ids = {limit["model"]: limit["id"] for limit in self._all(scope)}
        for step in steps:
            if step.key not in ids:
                raise RefusedError(f"{step.key} is no model that is served here. Leave its limits out.")
            body = {name: (step.after or {}).get(name, MOST) for name in LIMITS}
            scope.door.post(f"{scope.path}{self.path}/{quote(ids[step.key], safe='')}", body)
        return []

    def _all(self, scope: Scope) -> list[dict[str, Any]]:
        limits = scope.door.all(scope.path + self.path)
        return sorted(limits, key=lambda limit: str(limit["model"]))


def _limits(limit: Mapping[str, Any]) -> dict[str, int]:
    """Those that bound something."""
    return {name: limit[name] for name in LIMITS if limit.get(name) not in (None, MOST)}


class ServiceAccounts(Section):
    """Made without a key: keys are shown once, to whoever asks for one."""

    name = "service_accounts"
    path = "/service_accounts"
    kept = True

    def rows(self, scope: Scope) -> Rows:
        found = [
            Row({"name": account["name"], "role": account["role"]}, account["id"])
            for account in scope.door.all(scope.path + self.path)
        ]
        return numbered(found, "name")

    def wanted(self, written: Any) -> dict[str, Any]:
        return {key: row.value for key, row in numbered(map(Row, written), "name").items()}

    def written(self, rows: Rows) -> Any:
        return [row.value for row in rows.values()]

    def impossible(self, step: Step) -> str:
        if step.before is None or step.after is None or step.after["role"] != "none":
            return ""
        return (
            f'role="none": the account is {step.before.value["role"]} and cannot be without a role again. '
            "Set it to member or owner, or leave the account out and apply the file with --prune."
        )

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        path = scope.path + self.path
        for step in steps:
            if step.after is None:
                scope.door.delete(f"{path}/{step.before.id if step.before else ''}")
                continue
            account_id = step.before.id if step.before else ""
            role = step.before.value["role"] if step.before else "none"
            if not step.before:
                only = {"name": step.after["name"], "create_service_account_only": True}
                account_id = scope.door.post(path, only)["id"]
            if step.after["role"] != role:
                scope.door.post(f"{path}/{account_id}", {"role": step.after["role"]})
        return []


class Settings(Section):
    """Our own call beside OpenAI's."""

    name = "settings"
    path = "/settings"

    def rows(self, scope: Scope) -> Rows:
        answer = scope.door.get(scope.path + self.path)["settings"]
        # Validated leniently: a gateway may be newer than this command.
        settings = ProjectSettings.model_validate(answer, strict=False)
        return {name: Row(value) for name, value in settings_document(settings).items()}

    def wanted(self, written: Any) -> dict[str, Any]:
        return dict(written)

    def written(self, rows: Rows) -> Any:
        return {name: row.value for name, row in rows.items()}

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        scope.door.post(scope.path + self.path, {"settings": {step.key: step.after for step in steps}})
        return []


OF_ORGANIZATION: tuple[Section, ...] = (SpendLimit(), SpendAlerts(), DataRetention())
OF_PROJECT: tuple[Section, ...] = (
    SpendLimit(),
    SpendAlerts(),
    DataRetention(),
    ModelPermissions(),
    RateLimits(),
    ServiceAccounts(),
    Settings(),
)
"""In the order in which a new project gets them: what bounds it before what uses it."""


def numbered(found: Iterable[Row], name: str) -> Rows:
    """Rows by the field that names them; the second of the same name is name#2, in the order of the rest."""
    seen: Counter[str] = Counter()
    rows: Rows = {}
    for row in sorted(found, key=lambda row: (str(row.value[name]), json.dumps(row.value, sort_keys=True))):
        called = row.value[name]
        seen[called] += 1
        rows[called if seen[called] == 1 else f"{called}#{seen[called]}"] = row
    return rows


def dollars(amount_cents: int) -> str:
    return f"{amount_cents // 100}.{amount_cents % 100:02d}"


def cents(usd: str) -> int:
    return int(usd.replace(".", ""))
