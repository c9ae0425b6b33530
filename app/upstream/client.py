"""One request upstream: pooled connections, one deadline over all attempts, our key instead of the caller's.

Only headers on a list cross in either direction. The upstream's word on the gateway's own key (401) never
reaches the caller; its other refusals do, as they are. When one model of a chain cannot answer, the next is
asked. Once an answer has begun nothing is asked again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp

from app import errors
from app.deadlines import Deadlines
from app.endpoints.endpoint import Chain
from app.errors import ApiError
from app.members import with_members
from app.models.latency import kind_of
from app.secret_values import Deployment
from app.settings import DeploymentRouting
from app.upstream import retries
from app.upstream.answers import Answer, UpstreamRefusal, error_code, read_body
from app.upstream.call import Asking, Call, Kept, Reply, TooSlowError, finish, request_headers
from app.upstream.retries import FALLBACKS_PER_REQUEST, RetryBudget
from app.upstream.routes import Route, Routes
from app.upstream.standings import Standings
from app.vault import RotatingSecret

MAX_CONNECTIONS = 1000
CONNECT_TIMEOUT_S = 5.0
IDLE_CONNECTION_S = 30.0

_FAILURES = (TimeoutError, aiohttp.ClientError, OSError)
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Upstream:
    """One pool of connections to the deployments of the secret, open between `open` and `close`."""

    def __init__(
        self,
        base_url: str,
        deployments: RotatingSecret[tuple[Deployment, ...]],
        longest_s: float,
        standings: Standings,
        routing: DeploymentRouting = "weight",
    ) -> None:
        self._standings = standings
        self._routes = Routes(deployments, base_url, standings.latencies if routing == "fastest" else None)
        self._budget = RetryBudget()
        self._fallbacks = RetryBudget(FALLBACKS_PER_REQUEST)
        self._longest_s = longest_s
        self._deadlines = Deadlines(longest_s)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_CONNECTION_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            auto_decompress=False,
            trust_env=False,
            headers={
                "User-Agent": "openai-gateway",
                "Accept": "application/json, text/event-stream",
                # Bodies are read on their way, for usage and completeness.
                "Accept-Encoding": "identity",
            },
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def trouble(self) -> str | None:
        """Which of our keys are refused, for people; None when none is."""
        return self._routes.trouble

    async def complete(
        self,
        method: str,
        path: str,
        exchange: Asking,
        body: bytes | None = None,
        *,
        chain: Chain | None = None,
        within_s: float | None = None,
        kept: Kept | None = None,
    ) -> Answer:
        """Calls and reads the whole answer. Raises ApiError when there is none that a caller may see.

        within_s: the time that the caller's project has, if that is less than the gateway's.
        """
        call = self._call(method, path, exchange, body, chain, within_s)
        call.kept = kept
        reply: Reply | None = None
        try:
            with self._bounded(call):
                reply = await self._send(call)
                return await reply.answer()
        except _FAILURES as failure:
            raise self._refusal(failure, call) from None
        finally:
            finish(call, reply)

    async def models(self, exchange: Asking) -> list[str]:
        """Ids of the models that the upstream lists. Raises ApiError when it lists none."""
        answer = await self.complete("GET", "/models", exchange)
        if answer.status != 200:
            raise errors.upstream_failed(answer.status)
        listed = answer.value.get("data")
        if not isinstance(listed, list):
            raise errors.upstream_malformed()
        return [str(model["id"]) for model in listed if isinstance(model, dict) and "id" in model]

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        exchange: Asking,
        body: bytes,
        *,
        chain: Chain | None = None,
        within_s: float | None = None,
        kept: Kept | None = None,
    ) -> "AsyncIterator[aiohttp.StreamReader]":
        """Calls for server-sent events; what is read within the block has the same deadline.

        Raises UpstreamRefusal, and ApiError, from reading as well: upstream_cut when the connection ends
        before the body does.
        """
        call = self._call("POST", path, exchange, body, chain, within_s, stream=True)
        call.kept = kept
        reply: Reply | None = None
        try:
            with self._bounded(call):
                reply = await self._send(call)
                if reply.response.status != 200:
                    raise UpstreamRefusal(await reply.answer())
                if reply.response.content_type != "text/event-stream":
                    raise errors.upstream_malformed()
                yield reply.response.content
        except _FAILURES as failure:
            raise self._refusal(failure, call) from None
        finally:
            finish(call, reply)

    @asynccontextmanager
    async def download(self, path: str, exchange: Asking) -> "AsyncIterator[aiohttp.ClientResponse]":
        """Calls for a file's content, which is no JSON. Raises as `stream` does."""
        call = self._call("GET", path, exchange, None, None, None)
        call.kept = Kept()
        reply: Reply | None = None
        try:
            with self._bounded(call):
                reply = await self._send(call)
                if reply.response.status != 200:
                    raise UpstreamRefusal(await reply.answer())
                yield reply.response
        except _FAILURES as failure:
            raise self._refusal(failure, call) from None
        finally:
            finish(call, reply)

    def _call(
        self,
        method: str,
        path: str,
        exchange: Asking,
        body: bytes | None,
        chain: Chain | None,
        within_s: float | None,
        *,
        stream: bool = False,
    ) -> Call:
        within_s = self._longest_s if within_s is None else min(within_s, self._longest_s)
        return Call(method, path, body, stream, chain, exchange, asyncio.get_running_loop().time(), within_s)

    def _bounded(self, call: Call) -> AbstractContextManager[None]:
        if call.within_s == self._longest_s:
            return self._deadlines.within()
        return Deadlines(call.within_s).within()

    def _refusal(self, failure: Exception, call: Call) -> ApiError:
        match failure:
            case aiohttp.ClientConnectorError() | aiohttp.ServerTimeoutError():
                return errors.upstream_unreachable()
            case TimeoutError():
                return errors.upstream_too_slow(call.within_s, capped=call.within_s < self._longest_s)
            case aiohttp.ClientResponseError():
                return errors.upstream_malformed()
            case _:
                # The request was on its way: unlike an upstream out of reach, this one may have charged it.
                return errors.upstream_cut()

    async def _send(self, call: Call) -> Reply:
        self._budget.request_began()
        if call.chain is not None:
            self._fallbacks.request_began()
        route = self._route(call)
        if route is None:
            raise errors.no_openai_key()
        tried: list[Route] = []
        while True:
            tried.append(route)
            try:
                reply = await self._ask(call, route)
            except _NOT_CONNECTED:
                route.failed()
                following = await self._next(call, tried)
                if following is None:
                    raise
                route = following
                continue
            except TooSlowError:
                call = self._ask_next_model(call)
                route, tried = self._route(call) or route, []
                continue
            status, headers = reply.response.status, reply.response.headers
            if status == 401:
                route = await self._next_key(call, route, tried)
                continue
            if reply.body is None:
                route.worked()
                if call.chain is not None:
                    self._standings.worked(call.model)
                return reply
            out_of_quota = status == 429 and error_code(reply.body) in retries.OUT_OF_QUOTA
            route.failed(retries.told_wait_s(headers), out_of_quota=out_of_quota)
            if not retries.is_retried(status, headers, once=call.kept is not None and call.kept.once):
                return reply
            if call.chain is not None and not out_of_quota and self._other(call, tried) is None:
                self._standings.failed(call.model, retries.told_wait_s(headers))
                if call.chain.following and self._fallbacks.take():
                    call = self._ask_next_model(call)
                    route, tried = self._route(call) or route, []
                    continue
            following = await self._next(call, tried, headers, same_again=not out_of_quota)
            if following is None:
                return reply
            route = following

    def _route(self, call: Call, refused: Collection[Route] = ()) -> Route | None:
        """Where a call goes, None when nowhere. refused: whose keys it has found refused."""
        if call.kept is not None:
            return self._routes.first(refused)
        return self._routes.pick(refused, self._kind(call))

    def _other(self, call: Call, tried: list[Route]) -> Route | None:
        """Another deployment that can take a call over at once, None when there is none."""
        return self._routes.other(tried) if call.kept is None else None

    async def _ask(self, call: Call, route: Route) -> Reply:
        """One attempt; a failure that the upstream told is read, so that its connection serves again."""
        if self._session is None:
            raise RuntimeError("open() comes first")
        record = call.exchange.record
        record.upstream_attempts += 1
        record.deployment = route.deployment.name
        # What the attempt before was answered says nothing of this one, which may be charged.
        record.upstream_status = None
        asked_at = asyncio.get_running_loop().time()
        asking = self._session.request(
            call.method,
            route.url + call.path,
            data=call.body,
            headers=request_headers(call, route.deployment.key),
            allow_redirects=False,
        )
        patience_s = call.patience_s()
        response = await (asking if patience_s is None else self._begun(call, asking, patience_s))
        record.upstream_status = response.status
        if response.status == 200 and (call.chain is not None or self._routes.measured):
            self._measure(call, route, asyncio.get_running_loop().time() - asked_at)
        request_id = response.headers.get("x-request-id")
        record.upstream_request_id = request_id[:200] if request_id else None
        if response.status == 401:
            response.close()
        elif response.status == 429 or response.status >= 500:
            try:
                return Reply(response, route, await read_body(response))
            finally:
                response.close()
        return Reply(response, route)

    async def _begun(
        self, call: Call, asking: Coroutine[Any, Any, aiohttp.ClientResponse], patience_s: float
    ) -> aiohttp.ClientResponse:
        """The answer, once it has begun. Raises TooSlowError when another model is to be asked instead."""
        task = asyncio.ensure_future(asking)
        try:
            done, _ = await asyncio.wait({task}, timeout=patience_s)
            if not done and self._fallbacks.take():
                self._give_up(call, patience_s)
                raise TooSlowError
            return await task
        finally:
            # When it was given up, or the client has left: its connection goes, which stops the work.
            task.cancel()

    def _measure(self, call: Call, route: Route, after_s: float) -> None:
        self._routes.began(route, self._kind(call), after_s)
        if call.chain is not None:
            self._standings.latencies.began(call.model, _model_kind(call), after_s)

    def _give_up(self, call: Call, after_s: float) -> None:
        """Too slow is a failure, and it took at least as long as it was given."""
        if call.chain is not None:
            call.chain.given_up += ((call.model, after_s),)
        self._standings.failed(call.model)
        self._standings.latencies.began(call.model, _model_kind(call), after_s)

    def _kind(self, call: Call) -> str:
        """What the latency of deployments is compared by."""
        return f"{call.model} {_model_kind(call)}" if self._routes.measured else ""

    async def _next(
        self,
        call: Call,
        tried: list[Route],
        headers: Mapping[str, str] | None = None,
        *,
        same_again: bool = True,
    ) -> Route | None:
        """Where to try next: another deployment at once, otherwise again after a pause; None to give up."""
        if len(tried) >= retries.MAX_ATTEMPTS:
            return None
        other = self._other(call, tried)
        pause_s: float | None = 0.0
        if other is None:
            pause_s = retries.wait_s(len(tried), headers or {}) if same_again else None
        now = asyncio.get_running_loop().time()
        if pause_s is None or now + pause_s >= call.deadline or not self._budget.take():
            return None
        if other is not None:
            return other
        await asyncio.sleep(pause_s)
        return self._route(call)

    async def _next_key(self, call: Call, route: Route, tried: list[Route]) -> Route:
        """Another key after one was refused, which is not charged. Raises ApiError when there is none."""
        self._routes.refuse(route)
        # Perhaps the key was rotated just now.
        await self._routes.read_again()
        following = self._route(call, refused=tried)
        if following is None:
            raise errors.openai_key_refused()
        return following

    def _ask_next_model(self, call: Call) -> Call:
        """The call to the next model of its chain, which there is."""
        chain = call.chain
        assert chain is not None  # noqa: S101
        following = chain.following[0]
        body = with_members(call.body or b"", {"model": chain.answering}, {"model": following})
        chain.answering = call.exchange.record.model = following
        return replace(call, body=body)


def _model_kind(call: Call) -> str:
    return kind_of(call.path, stream=call.stream)
