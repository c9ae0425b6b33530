"""The way of a request through the gateway, top to bottom.

identity (who is it) -> validate (shape) -> cache (answered before?) -> admission (within its limit?) ->
upstream -> answer. A step knows nothing of the next.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp

from app import errors
from app.admission.admission import Admission, Hold
from app.batching import Batching
from app.body import MAX_BODY_BYTES
from app.cache import MAX_ANSWER_BYTES, Lookup, ResponseCache
from app.endpoints import ApiRequest, Endpoint
from app.errors import ApiError, Header
from app.exchange import Exchange
from app.identity import Caller, Identity
from app.sse import PING, MalformedStreamError
from app.telemetry import RequestRecord
from app.upstream import Answer, Upstream, UpstreamRefusal

END_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Steps:
    """What a request passes through."""

    identity: Identity
    cache: ResponseCache
    admission: Admission
    upstream: Upstream
    batching: Batching
    ping_interval_s: float


async def handle(exchange: Exchange, steps: Steps, endpoint: Endpoint) -> None:
    """POST to an endpoint that takes a JSON body. Raises ApiError, ClientGoneError."""
    caller = await _identify(exchange, steps)
    request = endpoint.parse(await exchange.read_body(MAX_BODY_BYTES))
    exchange.record.model, exchange.record.stream = request.model, request.stream
    steps.batching.expect(exchange, request)
    async with exchange.while_client_stays():
        lookup = await steps.cache.look_up(request, caller, exchange.header(b"cache-control"))
        exchange.record.cache = lookup.outcome
        exchange.headers.append((b"x-cache", lookup.outcome.encode()))
        if lookup.answer is not None:
            await _replay(exchange, request, lookup.answer)
            return
        hold = await _admit(exchange, steps, caller, request)
        try:
            if request.stream:
                await _stream(exchange, steps, request, lookup, hold)
            else:
                await _complete(exchange, steps, request, lookup, hold)
        except ApiError as failed:
            if failed.code in errors.NEVER_ASKED:
                steps.admission.settle(hold, None, used=False)
            raise
        finally:
            # Whatever has not been settled by now broke off.
            record = exchange.record
            steps.admission.settle(
                hold, record.usage, used=_may_be_charged(record), chunks=record.chunks, broken_off=True
            )


async def list_models(exchange: Exchange, steps: Steps) -> None:
    """GET /v1/models. Raises ApiError, ClientGoneError."""
    await _models(exchange, steps, "/models")


async def retrieve_model(exchange: Exchange, steps: Steps, model: str) -> None:
    """GET /v1/models/{model}. Raises ApiError, ClientGoneError."""
    exchange.record.model = model[:256]
    await _models(exchange, steps, "/models/" + quote(model, safe=":"))


async def _models(exchange: Exchange, steps: Steps, path: str) -> None:
    caller = await _identify(exchange, steps)
    await exchange.read_body(0)
    async with exchange.while_client_stays():
        hold = await _admit(exchange, steps, caller, None)
        try:
            answer = await steps.upstream.complete("GET", path, exchange)
        finally:
            steps.admission.settle(hold, None, used=False)
        await _pass_on(exchange, answer)


async def _identify(exchange: Exchange, steps: Steps) -> Caller:
    caller = await steps.identity.identify(
        exchange.header(b"authorization"),
        exchange.header(b"openai-organization"),
        exchange.header(b"openai-project"),
    )
    record = exchange.record
    record.key_id, record.project_id = caller.key_id, caller.project_id
    record.organization_id = caller.organization_id
    exchange.headers.append((b"openai-organization", caller.organization_id.encode()))
    return caller


async def _admit(exchange: Exchange, steps: Steps, caller: Caller, request: ApiRequest | None) -> Hold:
    hold = await steps.admission.reserve(caller, exchange.record.request_id, request)
    exchange.record.limiter = hold.limiter
    exchange.headers += hold.headers
    return hold


def _may_be_charged(record: RequestRecord) -> bool:
    """Of a request without an answer: unless the upstream refused it, it may have worked on it."""
    return record.upstream_attempts > 0 and (record.upstream_status or 200) < 400


async def _replay(exchange: Exchange, request: ApiRequest, answer: bytes) -> None:
    if request.stream:
        await exchange.begin_stream()
        await exchange.end_stream(answer)
    else:
        await exchange.answer(200, answer)


async def _complete(
    exchange: Exchange, steps: Steps, request: ApiRequest, lookup: Lookup, hold: Hold
) -> None:
    answer = await steps.batching.complete("POST", request.endpoint.path, exchange, request.body)
    exchange.record.usage = request.endpoint.usage_of(answer.value)
    steps.admission.settle(hold, exchange.record.usage, used=answer.status < 400)
    if lookup.slot and answer.status == 200 and request.endpoint.is_complete(answer.value):
        steps.cache.keep(lookup.slot, answer.body)
    await _pass_on(exchange, answer)


async def _pass_on(exchange: Exchange, answer: Answer) -> None:
    if answer.status >= 400:
        exchange.record.error = "upstream_refused"
    exchange.headers.append(_processing_ms(exchange))
    await exchange.answer(answer.status, answer.body, answer.headers)


async def _stream(exchange: Exchange, steps: Steps, request: ApiRequest, lookup: Lookup, hold: Hold) -> None:
    endpoint = request.endpoint
    events = endpoint.events(request)
    exchange.errors_in_stream(events.error_event)
    kept = Kept(lookup)
    pings = Pings(exchange, steps.ping_interval_s)
    try:
        async with steps.upstream.stream(
            endpoint.path, exchange, endpoint.body_for_stream(request)
        ) as upstream:
            await exchange.begin_stream((_processing_ms(exchange),))
            while not events.done and (data := await upstream.readany()):
                passed = events.feed(data)
                kept.add(passed)
                if events.done:
                    pings.stop()
                    steps.admission.settle(hold, events.usage, used=True, chunks=events.chunks)
                    await exchange.end_stream(passed)
                    await _read_to_the_end(upstream)
                elif passed:
                    pings.postpone()
                    await exchange.write(passed)
    except UpstreamRefusal as refusal:
        pings.stop()
        if exchange.begun:
            # The status line left with the first ping; what the upstream said comes as an event.
            exchange.record.error = "upstream_refused"
            error = refusal.answer.value.get("error")
            await exchange.end_stream(
                events.error_event(error if isinstance(error, dict) else {"message": str(error)})
            )
        else:
            await _pass_on(exchange, refusal.answer)
        return
    except MalformedStreamError:
        raise errors.upstream_malformed() from None
    finally:
        pings.stop()
        exchange.record.usage, exchange.record.chunks = events.usage, events.chunks
    if events.failed:
        exchange.record.error = "upstream_failed_in_stream"
        if not exchange.ended:
            await exchange.end_stream()
    elif not events.done:
        raise errors.upstream_cut()
    elif lookup.slot and not events.shortened and (answer := kept.whole()):
        steps.cache.keep(lookup.slot, answer)


async def _read_to_the_end(upstream: aiohttp.StreamReader) -> None:
    """Lets the connection serve again; what comes after `[DONE]`, or fails to, is of no account."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(END_WITHIN_S):
            while await upstream.readany():
                pass


def _processing_ms(exchange: Exchange) -> Header:
    return (b"openai-processing-ms", str(int(exchange.record.elapsed_ms())).encode())


class Kept:
    """The events of a stream for the cache, as long as they are wanted there and not too many."""

    __slots__ = ("_events", "_size")

    def __init__(self, lookup: Lookup) -> None:
        self._events: list[bytes] | None = [] if lookup.slot else None
        self._size = 0

    def add(self, events: bytes) -> None:
        if self._events is None:
            return
        self._size += len(events)
        if self._size > MAX_ANSWER_BYTES:
            self._events = None
        else:
            self._events.append(events)

    def whole(self) -> bytes | None:
        return b"".join(self._events) if self._events else None


class Pings:
    """Comments in a stream's silences, before its first event too, so that nobody takes it for dead."""

    __slots__ = ("_exchange", "_interval_s", "_last", "_loop", "_sending", "_timer")

    def __init__(self, exchange: Exchange, interval_s: float) -> None:
        self._exchange = exchange
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._sending: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval_s, self._due)

    def postpone(self) -> None:
        self._last = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._sending is not None:
            self._sending.cancel()

    def _due(self) -> None:
        now = self._loop.time()
        if now >= self._last + self._interval_s:
            self._last = now
            self._sending = self._loop.create_task(self._send())
        self._timer = self._loop.call_at(self._last + self._interval_s, self._due)

    async def _send(self) -> None:
        await self._exchange.begin_stream()
        await self._exchange.write(PING)
