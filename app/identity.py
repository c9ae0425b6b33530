"""Who a request is from: bearer key to caller, by the key's hash, with what holds for its project.

Key, project and organization are each remembered for seconds, so a revoked or expired key, an archived
project and a changed limit take effect everywhere within five.
"""

import time
from dataclasses import dataclass, field, replace

from app import errors
from app.admission.plan import Plan, Scopes, plan
from app.keys import KeyRecord, hash_key, looks_like_admin_key, looks_like_key
from app.models.names import folded
from app.owners import Owners
from app.project_settings import DEFAULT_SETTINGS, ProjectSettings
from app.remembered import Remembered
from app.table import Table, TableUnavailableError


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request is counted for.

    settings: what its project has chosen. keeps_nothing: zero_data_retention holds for the project.
    """

    key_id: str
    organization_id: str
    project_id: str
    scopes: Scopes
    service_account_id: str | None = None
    settings: ProjectSettings = DEFAULT_SETTINGS
    keeps_nothing: bool = False
    _plans: dict[tuple[str, ...], Plan] = field(default_factory=dict, compare=False, repr=False)

    def plan(self, *models: str) -> Plan:
        """What a request is counted against that these models may answer."""
        named: tuple[str, ...] = ()
        if limited := self.scopes.models:
            asked = {folded(model) for model in models}
            named = tuple(name for name, _ in limited if folded(name) in asked)
        found = self._plans.get(named)
        if found is None:
            found = self._plans[named] = plan(self.scopes, *named)
        return found


class Identity:
    """Resolves keys."""

    def __init__(self, table: Table, pepper: str, default_requests_per_minute: int) -> None:
        self._pepper = pepper
        self._default_requests_per_minute = default_requests_per_minute
        self._keys: Remembered[KeyRecord] = Remembered(table.key_record)
        self._owners: Remembered[Owners] = Remembered(lambda name: table.owners(*name.split(" ")))
        self._callers: dict[str, tuple[KeyRecord, Owners, Caller]] = {}

    async def identify(
        self, authorization: str | None, organization: str | None, project: str | None
    ) -> Caller:
        """The caller of a request with these headers. Raises ApiError (401, 503)."""
        key = bearer_token(authorization)
        if key is None:
            raise errors.no_key()
        if not looks_like_key(key):
            raise errors.admin_key() if looks_like_admin_key(key) else errors.wrong_key()
        try:
            key_hash = hash_key(self._pepper, key)
            record = self._keys.fresh(key_hash) or await self._keys.get(key_hash)
            if record is None or not record.lets_in(time.time()):
                raise errors.wrong_key()
            names = f"{record.organization_id} {record.project_id}"
            owners = self._owners.fresh(names) or await self._owners.get(names)
        except TableUnavailableError:
            raise errors.keys_unavailable() from None
        if owners is None or not owners.active:
            raise errors.archived_project()
        if organization and organization != record.organization_id:
            raise errors.mismatched_scope("OpenAI-Organization", "mismatched_organization")
        if project and project != record.project_id:
            raise errors.mismatched_scope("OpenAI-Project", "mismatched_project")
        return self._caller(record, owners)

    async def owners(self, organization_id: str, project_id: str) -> Owners | None:
        """What holds for a project and its organization. Raises TableUnavailableError."""
        return await self._owners.get(f"{organization_id} {project_id}")

    def _caller(self, record: KeyRecord, owners: Owners) -> Caller:
        known = self._callers.get(record.id)
        if known is not None and known[0] is record and known[1] is owners:
            return known[2]
        limits = record.limits
        if limits.requests_per_minute is None:
            limits = replace(limits, requests_per_minute=self._default_requests_per_minute)
        caller = Caller(
            key_id=record.id,
            organization_id=record.organization_id,
            project_id=record.project_id,
            scopes=Scopes(
                key_id=record.id,
                key=limits,
                project_id=record.project_id,
                project=owners.project,
                models=owners.models,
                organization_id=record.organization_id,
                organization=owners.organization,
            ),
            settings=owners.settings,
            service_account_id=record.service_account_id,
            keeps_nothing=owners.keeps_nothing,
        )
        if len(self._callers) >= MAX_CALLERS:
            self._callers.clear()
        self._callers[record.id] = (record, owners, caller)
        return caller


MAX_CALLERS = 10_000


def bearer_token(authorization: str | None) -> str | None:
    """The token of an Authorization header of the scheme Bearer, None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None
