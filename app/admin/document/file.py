"""The file: what may stand in it, read with every problem at once, and written.

A section that is left out leaves things as they are; one that is null or empty takes away what it names.
Amounts are dollars, written as text so that they stay exact; secrets are never in it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.admin.parameters import Email, Name
from app.admin.spend_alerts import MAX_ALERTS, Recipients, SubjectPrefix
from app.limits import MOST, MOST_MICRO_USD
from app.models.alias import ModelName
from app.models.permissions import ModelPermissions
from app.project_settings import ProjectSettings, ProjectSettingsError, check_settings

MAX_SHOWN = 200
CENTS = Decimal("0.01")
MOST_USD = Decimal(MOST_MICRO_USD) / 1_000_000
OWN_SECTION = "model_permissions"


class FileError(Exception):
    """A file that cannot be taken. problems: each names the field, its value, the reason and the remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _usd(value: object) -> str:
    """In dollars and cents, as text. YAML's 12.5 is as good as "12.50"."""
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidOperation
        amount = Decimal(str(value))
        if not 0 <= amount <= MOST_USD or amount != amount.quantize(CENTS):
            raise InvalidOperation
    except InvalidOperation:
        raise ValueError(f"is no amount of dollars and cents from 0 to {MOST_USD}") from None
    return f"{amount:.2f}"


def _more_than_nothing(value: str) -> str:
    if not Decimal(value):
        raise ValueError("is nothing to be told of")
    return value


def _whole(value: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are written when they are complete."""
    return settings_document(check_settings(value))


Usd = Annotated[str, BeforeValidator(_usd)]
Limit = Annotated[int, Field(ge=1, lt=MOST)]
OrganizationRetention = Literal["zero_data_retention", "modified_abuse_monitoring"]
ProjectRetention = Literal["organization_default", "zero_data_retention", "modified_abuse_monitoring"]

_LIMIT = "a whole number, or leave it out for no limit"
_USD = 'an amount such as "50.00"'
_RETENTION = "zero_data_retention or modified_abuse_monitoring"
_ALERTS = 'a list of {threshold_usd: "40.00", recipients: [an e-mail address]}, or []'


class Written(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SpendAlert(Written):
    threshold_usd: Annotated[Usd, AfterValidator(_more_than_nothing)] = Field(description=_USD)
    recipients: Recipients = Field(description="a list of e-mail addresses")
    subject_prefix: SubjectPrefix | None = Field(default=None, description="a short text such as [prod]")


class RateLimit(Written):
    """Of one model; what is left out has no limit."""

    model: ModelName = Field(description="the name of a model, for example gpt-5-mini")
    max_requests_per_1_minute: Limit | None = Field(default=None, description=_LIMIT)
    max_tokens_per_1_minute: Limit | None = Field(default=None, description=_LIMIT)
    max_requests_per_1_day: Limit | None = Field(default=None, description=_LIMIT)


class ServiceAccount(Written):
    name: Name
    role: Literal["member", "owner", "none"] = Field(default="member", description="member, owner or none")


class Project(Written):
    """name: which project it is, unless there is an id; then it is its name from now on."""

    name: Name = Field(description="a name that no other project of the organization has")
    id: str | None = None
    spend_limit_usd: Usd | None = Field(default=None, description=f"{_USD}, or null for no limit")
    spend_alerts: list[SpendAlert] = Field(default=[], max_length=MAX_ALERTS, description=_ALERTS)
    data_retention: ProjectRetention = Field(default="organization_default", description=_RETENTION)
    model_permissions: ModelPermissions | None = Field(
        default=None, description="{mode: allow_list, model_ids: [gpt-5-mini]}, or null for all models"
    )
    rate_limits: list[RateLimit] = Field(default=[], description="a list of limits, each of one model")
    service_accounts: list[ServiceAccount] = Field(default=[], description="a list such as [{name: web}]")
    settings: Annotated[dict[str, Any], AfterValidator(_whole)] = Field(
        default={}, description="an object of the project's settings, or {}"
    )


class User(Written):
    """projects: the role in each, by the project's name. Who is none yet is invited."""

    email: Annotated[Email, AfterValidator(str.lower)] = Field(description="the address of one person")
    role: Literal["owner", "reader"] = Field(description="owner or reader")
    projects: dict[str, Literal["owner", "member"]] = Field(
        default={}, description="an object such as {Web shop: member}"
    )


class Organization(Written):
    """The file's top."""

    spend_limit_usd: Usd | None = Field(default=None, description=f"{_USD}, or null for no limit")
    spend_alerts: list[SpendAlert] = Field(default=[], max_length=MAX_ALERTS, description=_ALERTS)
    data_retention: OrganizationRetention = Field(default="modified_abuse_monitoring", description=_RETENTION)
    users: list[User] = Field(default=[], description="a list of {email: ada@example.com, role: reader}")
    projects: list[Project] = Field(default=[], description="a list of projects, each with a name")


def load(path: Path) -> Organization:
    """Raises FileError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: it cannot be read ({error}). Name a YAML or JSON file."]) from None
    try:
        # JSON is YAML, but for white space that nobody types.
        written = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FileError([f"{path}: it is no YAML ({' '.join(str(error).split())}). Mend it there."]) from None
    return check(written)


def check(written: object) -> Organization:
    """From what a file holds. Raises FileError."""
    problems = [] if isinstance(written, dict) else ["the file: it is no object. Begin with projects: []."]
    checked = None
    try:
        checked = Organization.model_validate_json(json.dumps(written, default=str), extra="forbid")
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)
        # Settings say themselves what is wrong with them, each problem on its own.
        problems += [
            _problem(error["loc"], error["type"], error["msg"], error["input"])
            for error in errors
            if not (_is_of_settings(error["loc"]) and error["type"] == "value_error") and error["loc"]
        ]
    problems += _problems_of_settings(written)
    if checked is not None:
        problems += _repeated(checked)
    if problems or checked is None:
        raise FileError(problems)
    return checked


def dump(document: dict[str, Any], *, as_json: bool = False) -> str:
    """The text of a file."""
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110))


def settings_document(settings: ProjectSettings) -> dict[str, Any]:
    """What is chosen, without what is as the stack has it."""
    return settings.model_dump(mode="json", exclude_defaults=True, exclude={OWN_SECTION})


def _is_of_settings(place: tuple[int | str, ...]) -> bool:
    return len(place) == 3 and place[0] == "projects" and place[2] == "settings"


def _problems_of_settings(written: object) -> Iterator[str]:
    projects = written.get("projects") if isinstance(written, dict) else None
    for position, project in enumerate(projects if isinstance(projects, list) else ()):
        settings = project.get("settings") if isinstance(project, dict) else None
        if not isinstance(settings, dict):
            continue
        path = f"projects[{position}]."
        if OWN_SECTION in settings:
            yield f"{path}settings.{OWN_SECTION}: it is a section of its own. Move it to {path}{OWN_SECTION}."
        try:
            check_settings({name: value for name, value in settings.items() if name != OWN_SECTION})
        except ProjectSettingsError as error:
            yield from (path + problem for problem in error.problems)


def _repeated(file: Organization) -> Iterator[str]:
    """What may be there once only."""
    names = [project.name for project in file.projects]
    without_id = {project.name for project in file.projects if project.id is None}
    lists = [
        # Projects with ids may share a name.
        ("projects", "name", [name for name in names if name in without_id]),
        ("projects", "id", [project.id for project in file.projects if project.id is not None]),
        ("users", "email", [user.email for user in file.users]),
    ]
    for position, project in enumerate(file.projects):
        models = [limit.model for limit in project.rate_limits]
        lists.append((f"projects[{position}].rate_limits", "model", models))
        if project.model_permissions is not None:
            permitted = list(project.model_permissions.model_ids)
            lists.append((f"projects[{position}].model_permissions", "model_ids", permitted))
    for path, field, values in lists:
        for value, times in Counter(values).items():
            if times > 1:
                yield f"{path}[].{field}={json.dumps(value)}: it is there {times} times. Leave one of them."


def _problem(place: tuple[int | str, ...], kind: str, message: str, value: object) -> str:
    path, remedy = "", ""
    model: type[BaseModel] | None = Organization
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        field = model.model_fields.get(part) if model is not None and isinstance(part, str) else None
        if field is not None:
            remedy = field.description or ""
            model = _WITHIN.get(str(part))
    if kind == "extra_forbidden":
        return f"{path}: there is no such field. Leave it out."
    reason = message.removeprefix("Value error, ")
    shown = "" if kind == "missing" else f"={json.dumps(value, ensure_ascii=False)[:MAX_SHOWN]}"
    return f"{path}{shown}: {reason[0].lower()}{reason[1:]}." + (f" Set it to {remedy}." if remedy else "")


_WITHIN: dict[str, type[BaseModel]] = {
    "projects": Project,
    "users": User,
    "spend_alerts": SpendAlert,
    "model_permissions": ModelPermissions,
    "rate_limits": RateLimit,
    "service_accounts": ServiceAccount,
}
