"""The ASGI application: opens the parts, routes requests to their way, answers whatever goes wrong on it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.types import Receive, Scope, Send

from app import errors, gateway
from app.admin import administration, invites
from app.admin.administration import Administration
from app.admin.invite_page import InvitePage
from app.admin.notices import Notices
from app.admin.store import Store
from app.admission.admission import Admission
from app.admission.seeding import Seeding
from app.alerts import Alerts
from app.aws import open_clients
from app.batches import calls
from app.batches.asking import Parts
from app.batches.records import Records
from app.batches.settling import Settling
from app.batches.watch import BatchWatch
from app.batching import Batching
from app.body import BodyRoom
from app.cache import Flights, ResponseCache
from app.endpoints import ENDPOINTS
from app.errors import ApiError
from app.exchange import CLIENT_GONE_STATUS, ClientGoneError, Exchange
from app.gateway import Steps
from app.health import Readiness
from app.identity import Identity
from app.kept import KeptIds, Ownership
from app.knowledge import Knowledge
from app.ledger import Ledger
from app.ledger_table import LedgerTable
from app.lifecycle import Closing, Lifecycle, StopPlan
from app.metrics import InFlightMetric
from app.models import calls as models
from app.models.alias import parse_aliases
from app.models.choice import Models
from app.models.latency import Latencies
from app.prices import Prices, parse_prices
from app.settings import Settings
from app.table import Table
from app.telemetry import log_event, log_exception, log_request
from app.upstream import MAX_CONNECTIONS, Upstream
from app.upstream.standings import Standings
from app.valkey import Valkey
from app.vault import Vault

MAX_IN_FLIGHT = MAX_CONNECTIONS
"""More at once would only wait for a connection to the upstream."""

T = TypeVar("T")

_ENDPOINTS = {"/v1" + endpoint.path: endpoint for endpoint in ENDPOINTS}
_MODEL = "/v1/models/"


class Application:
    """The gateway as an ASGI 3 application."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle, stop: StopPlan) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        self._stop = stop
        self._in_flight = 0
        self._room = BodyRoom()
        self._idle = asyncio.Event()
        self._steps: Steps | None = None
        self._batches: Parts | None = None
        self._administration: Administration | None = None
        self._invite_page: InvitePage | None = None
        self._readiness: Readiness | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            raise ValueError(f"the server speaks HTTP only, not {scope['type']}")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._open_parts():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        log_event("stopped")
        await send({"type": "lifespan.shutdown.complete"})

    @asynccontextmanager
    async def _open_parts(self) -> AsyncIterator[None]:
        settings = self._settings
        async with (
            open_clients(settings.region) as (dynamodb, secretsmanager, sns, sqs),
            Closing(self._stop.closing_s) as closing,
        ):
            table = Table(dynamodb, settings.table_name)
            vault = Vault(
                secretsmanager, openai_arn=settings.openai_secret_arn, cache_arn=settings.cache_secret_arn
            )
            await vault.open()
            closing.add("vault", vault.close)
            valkey = Valkey(settings.cache_url, vault.cache_credentials)
            await valkey.open()
            closing.add("valkey", valkey.close)
            identity = Identity(table, settings.key_pepper.get_secret_value(), settings.requests_per_minute)
            replica = "replica_" + secrets.token_hex(8)
            ledger_table = LedgerTable(dynamodb, settings.table_name)
            alerts = Alerts(
                identity, ledger_table, dynamodb, settings.table_name, sns, settings.alert_topic_arn
            )
            alerts.open()
            closing.add("alerts", alerts.close)
            seeding = Seeding(valkey, ledger_table)
            ledger = Ledger(valkey, ledger_table, seeding, replica, alerts.notice)
            await ledger.open()
            closing.add("ledger", ledger.close)
            standings = Standings(Latencies())
            upstream = Upstream(
                settings.openai_base_url,
                vault.openai_key,
                settings.longest_stream_s,
                standings,
                settings.deployment_routing,
            )
            await upstream.open()
            closing.add("upstream", upstream.close)
            cache = ResponseCache(valkey, settings.response_cache_ttl_s, settings.openai_base_url)
            knowledge = Knowledge(sqs, settings.knowledge_queue_url, table, cache)
            knowledge.open()
            closing.add("knowledge", knowledge.close)
            prices = Prices(parse_prices(settings.model_prices))
            records = Records(dynamodb, settings.table_name)
            pepper = settings.key_pepper.get_secret_value()
            admission = Admission(
                valkey, seeding, ledger, prices, longest_s=settings.longest_stream_s, replica=replica
            )
            admission.open()
            closing.add("admission", admission.close)
            self._steps = Steps(
                identity=identity,
                models=Models(parse_aliases(settings.model_aliases), prices, standings),
                cache=cache,
                flights=Flights(),
                admission=admission,
                upstream=upstream,
                batching=Batching(upstream, settings.batch_prompts, settings.longest_stream_s),
                ownership=Ownership(KeptIds(pepper), records),
                ping_interval_s=settings.ping_interval_s,
            )
            settling = Settling(valkey, seeding, ledger_table, records, upstream, replica)
            watch = BatchWatch(valkey, records, settling, replica)
            watch.open()
            closing.add("batches", watch.close)
            self._batches = Parts(self._steps, records, settling, prices)
            store = Store(dynamodb, settings.table_name)
            notices = Notices(sns, settings.alert_topic_arn)
            self._administration = Administration(store, pepper, notices, upstream.models)
            self._invite_page = InvitePage(store, pepper, notices)
            self._readiness = Readiness(self._lifecycle, table, valkey, vault, upstream)
            in_flight = InFlightMetric(settings.service, lambda: self._in_flight)
            in_flight.open()
            closing.add("metrics", in_flight.close)
            # Those that were cut short still say so, and settle, before what they need is closed.
            closing.add("requests", self._requests_end)
            yield

    async def _requests_end(self) -> None:
        while self._in_flight:
            self._idle.clear()
            await self._idle.wait()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/healthz" or path == "/readyz":
            await self._health(Exchange(scope, receive, send), path)
            return
        exchange = Exchange(scope, receive, send, self._room)
        self._in_flight += 1
        try:
            if self._lifecycle.draining:
                # The connection is not to be used again; the request itself is still served.
                exchange.headers.append((b"connection", b"close"))
            if self._in_flight > MAX_IN_FLIGHT:
                raise errors.busy()
            await self._route(exchange, path, scope)
        except ApiError as refusal:
            await exchange.refuse(refusal)
        except ClientGoneError:
            exchange.record.status, exchange.record.error = CLIENT_GONE_STATUS, "client_gone"
        except asyncio.CancelledError:
            # The stop timeout is over: say so instead of just ending.
            await exchange.refuse(errors.stopping())
        except Exception as failure:
            log_exception("failed", failure, request_id=exchange.record.request_id)
            await exchange.refuse(errors.internal(exchange.record.request_id))
        finally:
            exchange.release()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
            log_request(exchange.record)

    def _route(self, exchange: Exchange, path: str, scope: Scope) -> Coroutine[Any, Any, None]:
        """The way that a request goes. Raises ApiError when there is none."""
        steps = _opened(self._steps)
        method = exchange.record.method
        if (endpoint := _ENDPOINTS.get(path)) is not None:
            _require("POST", method, path)
            return gateway.handle(exchange, steps, endpoint)
        if path == "/v1/cache/invalidate":
            _require("POST", method, path)
            return gateway.invalidate(exchange, steps)
        if path == "/v1/models":
            _require("GET", method, path)
            return models.list_(exchange, steps)
        if path.startswith(_MODEL) and len(path) > len(_MODEL):
            _require("GET", method, path)
            return models.retrieve(exchange, steps, path.removeprefix(_MODEL))
        if path.startswith(calls.PREFIXES):
            return calls.handle(exchange, _opened(self._batches), scope)
        if path.startswith(administration.PREFIXES):
            return _opened(self._administration).handle(exchange, scope)
        if path == invites.PATH:
            return _opened(self._invite_page).handle(exchange, scope)
        raise errors.unknown_url(method, path)

    async def _health(self, exchange: Exchange, path: str) -> None:
        if exchange.record.method not in ("GET", "HEAD"):
            await exchange.refuse(errors.wrong_method(exchange.record.method, path, ("GET", "HEAD")))
        elif path == "/healthz":
            draining = self._lifecycle.draining
            await exchange.answer_json(
                503 if draining else 200, {"status": "draining" if draining else "serving"}
            )
        else:
            report = await _opened(self._readiness).report()
            await exchange.answer_json(200 if report.ready else 503, report.body)


def _opened(part: T | None) -> T:
    if part is None:
        raise RuntimeError("a request came before the lifespan's start")
    return part


def _require(allowed: str, method: str, path: str) -> None:
    if method != allowed:
        raise errors.wrong_method(method, path, (allowed,))
