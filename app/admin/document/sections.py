"""The sections of the file: how each is read from the API, stands in the file, and is brought to the API.

A section's content is rows: values by their keys, which are what a person calls each (a model, a name, an
address). The organization and a project have them alike, below different roots of the API.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.admin.document.door import Door
from app.admin.document.file import settings_document
from app.project_settings import ProjectSettings

ONE = ""
"""The key of a section that is a single value."""

LIMITS = (
    "max_requests_per_1_minute",
    "max_tokens_per_1_minute",
    "max_requests_per_1_day",
    "batch_1_day_max_input_tokens",
    "max_images_per_1_minute",
    "max_audio_megabytes_per_1_minute",
)
MONTHLY = {"currency": "USD", "interval": "month"}


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
    unless somebody asks for their removal; lasting: in any case. merged: what a row of the file leaves out
    stays as it is."""

    name: str
    path: str
    kept = False
    lasting = False
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
        return {} if found is None else {ONE: Row(self.value(found))}

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
    name = "model_permissions"
    path = "/model_permissions"

    def value(self, answer: dict[str, Any]) -> dict[str, Any]:
        return {"mode": answer["mode"], "model_ids": answer["model_ids"]}

    def body(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class SpendAlerts(Section):
    name = "spend_alerts"
    path = "/spend_alerts"

    def rows(self, scope: Scope) -> Rows:
        found = list(scope.door.all(scope.path + self.path))
        values = [
            {
                "threshold_usd": dollars(alert["threshold_amount"]),
                "recipients": alert["notification_channel"]["recipients"],
                "subject_prefix": alert["notification_channel"].get("subject_prefix"),
            }
            for alert in found
        ]
        ids = [alert["id"] for alert in found]
        keys = self.wanted(values)
        return {key: Row(value, item_id) for (key, value), item_id in zip(keys.items(), ids, strict=True)}

    def wanted(self, written: Any) -> dict[str, Any]:
        return dict(zip(numbered(alert["threshold_usd"] for alert in written), written, strict=True))

    def written(self, rows: Rows) -> Any:
        return [row.value for row in rows.values()]

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
    """The API has a row for every model that is served, and no way to take one away."""

    name = "rate_limits"
    path = "/rate_limits"
    lasting = True
    merged = True

    def rows(self, scope: Scope) -> Rows:
        return {
            limit["model"]: Row(
                {name: limit[name] for name in LIMITS if limit.get(name) is not None}, limit["id"]
            )
            for limit in scope.door.all(scope.path + self.path)
        }

    def wanted(self, written: Any) -> dict[str, Any]:
        return {
            limit["model"]: {name: limit[name] for name in LIMITS if limit.get(name) is not None}
            for limit in written
        }

    def written(self, rows: Rows) -> Any:
        return [{"model": model, **row.value} for model, row in rows.items()]

    def change(self, scope: Scope, steps: list[Step]) -> list[str]:
        for step in steps:
            # A model that is not served has no row; the API says so by its name.
            limit_id = step.before.id if step.before else step.key
            scope.door.post(f"{scope.path}{self.path}/{limit_id}", step.after)
        return []


class ServiceAccounts(Section):
    """Made without a key: keys are shown once, to whoever asks for one."""

    name = "service_accounts"
    path = "/service_accounts"
    kept = True

    def rows(self, scope: Scope) -> Rows:
        found = list(scope.door.all(scope.path + self.path))
        keys = numbered(account["name"] for account in found)
        return {
            key: Row({"name": account["name"], "role": account["role"]}, account["id"])
            for key, account in zip(keys, found, strict=True)
        }

    def wanted(self, written: Any) -> dict[str, Any]:
        return dict(zip(numbered(account["name"] for account in written), written, strict=True))

    def written(self, rows: Rows) -> Any:
        return [row.value for row in rows.values()]

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


def numbered(names: Iterable[str]) -> list[str]:
    """Names as keys: the second of the same is name#2."""
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        seen[name] += 1
        keys.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return keys


def dollars(amount_cents: int) -> str:
    return f"{amount_cents // 100}.{amount_cents % 100:02d}"


def cents(usd: str) -> int:
    return int(usd.replace(".", ""))
