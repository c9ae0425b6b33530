"""The Administration API as a part of the gateway: finds the call, asks who makes it, answers."""

import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from starlette.routing import compile_path
from starlette.types import Scope

from app import errors
from app.admin import membership, refusals
from app.admin.audit import Actor
from app.admin.call import Call, Request
from app.admin.identity import Admin, AdminIdentity
from app.admin.not_offered import NOT_OFFERED, NotOffered
from app.admin.notices import Notices
from app.admin.offered import CALLS
from app.admin.parameters import MAX_BODY_BYTES
from app.admin.store import ConflictError, Store
from app.exchange import Exchange
from app.table import TableUnavailableError

PREFIXES = ("/v1/organization/", "/v1/projects/")
"""OpenAI has the roles within a project under /v1/projects."""

MAX_ID_CHARACTERS = 200
MAX_AGENT_CHARACTERS = 200
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class Routes:
    """Which call a method and a path are; a template without ids comes first."""

    def __init__(self, calls: Iterable[Call | NotOffered]) -> None:
        by_path: dict[str, dict[str, Call | NotOffered]] = {}
        for call in calls:
            known = by_path.setdefault(call.path, {})
            if call.method in known:
                raise ValueError(f"{call.method} {call.path} is there twice")
            known[call.method] = call
        self._routes = [
            (compile_path("/v1" + path)[0], by_method)
            for path, by_method in sorted(by_path.items(), key=lambda one: (one[0].count("{"), one[0]))
        ]

    def find(self, method: str, path: str) -> tuple[Call | NotOffered, dict[str, str]]:
        """The call and the ids of its path. Raises ApiError (404, 405)."""
        for pattern, by_method in self._routes:
            if (found := pattern.match(path)) is None:
                continue
            ids: dict[str, str] = found.groupdict()
            if not all(one.isprintable() and len(one) <= MAX_ID_CHARACTERS for one in ids.values()):
                break
            if method not in by_method:
                raise errors.wrong_method(method, path, tuple(sorted(by_method)))
            return by_method[method], ids
        raise errors.unknown_url(method, path)


ModelsSource = Callable[[Exchange], Awaitable[Sequence[str]]]
"""Tells which models the upstream serves. Raises ApiError."""


class Administration:
    """Answers every path of the API."""

    def __init__(self, store: Store, pepper: str, notices: Notices, models: ModelsSource) -> None:
        self._store = store
        self._identity = AdminIdentity(self._store, pepper)
        self._routes = Routes((*CALLS, *NOT_OFFERED))
        self._pepper = pepper
        self._notices = notices
        self._models = models

    async def handle(self, exchange: Exchange, scope: Scope) -> None:
        """Raises ApiError, ClientGoneError."""
        try:
            admin = await self._identity.identify(
                exchange.header(b"authorization"), exchange.header(b"openai-organization")
            )
            record = exchange.record
            record.key_id, record.organization_id = admin.key_id, admin.organization_id
            exchange.headers.append((b"openai-organization", admin.organization_id.encode()))
            call, ids = self._routes.find(record.method, record.path)
            record.project_id = ids.get("project_id")
            if isinstance(call, NotOffered):
                raise refusals.not_offered(call.sdk, call.reason)
            membership.require(call, admin, ids)
            body = await exchange.read_body(MAX_BODY_BYTES)
            request = Request(
                admin,
                actor(exchange, scope, admin),
                ids,
                self._store,
                self._notices,
                functools.partial(self._models, exchange),
                origin(exchange, scope),
                self._pepper,
            )
            answer: dict[str, Any] = await call.answer(request, scope["query_string"], body)
        except TableUnavailableError:
            raise refusals.unavailable() from None
        except ConflictError:
            raise refusals.conflict() from None
        await exchange.answer_json(200, answer)


def origin(exchange: Exchange, scope: Scope) -> str:
    """Where the gateway is for whoever asks; nothing when they do not say."""
    host = exchange.header(b"host") or ""
    scheme = exchange.header(b"x-forwarded-proto") or scope["scheme"]
    return f"{scheme}://{host}" if scheme in ("http", "https") and _HOST.fullmatch(host) else ""


def actor(exchange: Exchange, scope: Scope, admin: Admin | None = None) -> Actor:
    """Who asks, and from where: the balancer's word on it stands last, whatever a client wrote before."""
    client = scope.get("client")
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    address = forwarded[-1].decode("latin-1").rpartition(",")[2].strip() if forwarded else ""
    return Actor(
        user_id=admin.user_id if admin else None,
        email=admin.email if admin else None,
        key_id=admin.key_id if admin else None,
        ip_address=(address or (client[0] if client else ""))[:64] or None,
        user_agent=(exchange.header(b"user-agent") or "")[:MAX_AGENT_CHARACTERS] or None,
    )
