"""The way of a request through the gateway, top to bottom.

identity (who is it) -> validate (shape) -> models (who may answer) -> caps -> ownership (is it theirs?) ->
cache (answered before, or about to be?) -> admission (within its limit?) -> upstream -> answer. A step knows
nothing of the next.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from functools import partial

import aiohttp

from app import errors
from app.admission.admission import Admission
from app.admission.hold import Hold
from app.batching import Batching
from app.body import MAX_BODY_BYTES
from app.cache import (
    NO_WISHES,
    WISHING,
    Flight,
    Flights,
    LeaderFailedError,
    Lookup,
    Question,
    ResponseCache,
    Wishes,
    invalidation,
    parse_wishes,
    scopes_of,
    turn,
)
from app.cache.flights import MAX_FOLLOWED, Follower
from app.caps import check_input, within
from app.endpoints import ApiRequest, Endpoint
from app.errors import ApiError, Header
from app.exchange import Exchange
from app.identity import Caller, Identity
from app.kept import Ownership
from app.models.choice import Models
from app.outlet import Outlet
from app.pings import Pings
from app.retention import unstored
from app.sse import MalformedStreamError
from app.telemetry import CacheOutcome, RequestRecord
from app.upstream import Answer, Kept, Upstream, UpstreamRefusal, may_be_charged
from app.valkey import ValkeyReplyError, ValkeyUnavailableError

END_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Steps:
    """What a request passes through."""

    identity: Identity
    models: Models
    cache: ResponseCache
    flights: Flights
    admission: Admission
    upstream: Upstream
    batching: Batching
    ownership: Ownership
    ping_interval_s: float


async def handle(exchange: Exchange, steps: Steps, endpoint: Endpoint) -> None:
    """POST to an endpoint that takes a JSON body. Raises ApiError, ClientGoneError."""
    caller = await identify(exchange, steps)
    request = _prepare(await exchange.read_body(MAX_BODY_BYTES), caller, steps, endpoint)
    request = await steps.ownership.own(request, caller)
    exchange.record.model, exchange.record.stream = request.model, request.stream
    exchange.record.alias = request.chain.alias if request.chain is not None else None
    wishes = parse_wishes(exchange.header) if exchange.has_any(WISHING) else NO_WISHES
    question = steps.cache.question(request, caller, wishes, exchange.header(b"openai-beta"))
    steps.batching.expect(exchange, request)
    with exchange.while_client_stays():
        flight, lookup = await _find(exchange, steps, request, wishes, question)
        if flight is None:
            return
        try:
            if flight.needs_turn:
                waits = partial(steps.batching.not_coming, exchange)
                lookup = await turn(steps.cache, question, lookup, flight, waits, stream=request.stream)
            if lookup.answer is not None:
                _tell_cache(exchange, "shared")
                await _replay(exchange, request, lookup.answer)
            else:
                await _ask(exchange, steps, caller, request, lookup, flight)
        finally:
            flight.close()


async def invalidate(exchange: Exchange, steps: Steps) -> None:
    """POST /v1/cache/invalidate. Raises ApiError, ClientGoneError."""
    caller = await identify(exchange, steps)
    named = invalidation(await exchange.read_body(MAX_BODY_BYTES))
    try:
        await steps.cache.invalidate(scopes_of(caller), named.namespace, named.tags)
    except (ValkeyUnavailableError, ValkeyReplyError):
        raise errors.cache_unavailable() from None
    await exchange.answer_json(
        200, {"object": "cache.invalidation", "namespace": named.namespace, "tags": named.tags}
    )


async def free(
    exchange: Exchange,
    steps: Steps,
    caller: Caller,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    kept: Kept | None = None,
) -> Answer:
    """What is asked of the upstream that costs nothing, and counts as a request all the same."""
    hold = await _admit(exchange, steps, caller, None)
    try:
        return await steps.upstream.complete(method, path, exchange, body, kept=kept)
    finally:
        steps.admission.settle(hold, None, used=False)


async def identify(exchange: Exchange, steps: Steps) -> Caller:
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


def _prepare(body: bytes, caller: Caller, steps: Steps, endpoint: Endpoint) -> ApiRequest:
    """What is asked, with the project's defaults and within its caps, of the models that may answer."""
    settings = caller.settings
    check_input(settings.caps, body, caller.project_id)
    request = endpoint.parse(body, settings.default_model_of(endpoint))
    if caller.keeps_nothing:
        request = unstored(request)
    return within(settings.caps, steps.models.choose(request, caller), caller.project_id)


async def _find(
    exchange: Exchange, steps: Steps, request: ApiRequest, wishes: Wishes, question: Question | None
) -> tuple[Flight | None, Lookup]:
    """Answers from the cache, or with what another request is getting; otherwise begins a flight."""
    followed = 0
    while True:
        may_share = wishes.mode == "use" and followed < MAX_FOLLOWED
        lookup = await steps.cache.look_up(question, to_ask=may_share)
        _tell_cache(exchange, lookup.outcome)
        if lookup.answer is not None:
            _tell_model(exchange, request)
            await _replay(exchange, request, lookup.answer)
            return None, lookup
        if wishes.mode == "only":
            raise errors.not_in_cache()
        if lookup.slot is None or not may_share:
            return steps.flights.lead(lookup.slot, alone=True), lookup
        models = () if request.chain is None else request.chain.models
        follower = steps.flights.follow(lookup.slot, models)
        if follower is None:
            flight = steps.flights.lead(lookup.slot, alone=False, models=models)
            flight.lease = lookup.lease
            exchange.when_client_leaves = flight.leader_left
            return flight, lookup
        if lookup.lease is not None:
            lookup.lease.end(replaced=False)
        if await _follow(exchange, steps, request, follower):
            return None, lookup
        followed += 1


async def _follow(exchange: Exchange, steps: Steps, request: ApiRequest, follower: Follower) -> bool:
    """Answers with what another request gets. False when that one failed before anything came of it."""
    _tell_cache(exchange, "shared")
    steps.batching.not_coming(exchange)
    begun = False
    pings = None
    try:
        if not request.stream:
            await exchange.answer(200, await follower.get())
            return True
        exchange.errors_in_stream(request.endpoint.events(request).error_event)
        pings = Pings(exchange, steps.ping_interval_s)
        while events := await follower.get():
            pings.postpone()
            await exchange.begin_stream()
            await exchange.write(events)
            begun = True
        pings.stop()
        await exchange.end_stream()
        return True
    except LeaderFailedError:
        if begun:
            raise errors.upstream_cut() from None
        return False
    finally:
        if pings is not None:
            pings.stop()
        follower.leave()


def _tell_cache(exchange: Exchange, outcome: CacheOutcome) -> None:
    if exchange.record.cache is None:
        exchange.headers.append((b"x-cache", outcome.encode()))
    else:
        exchange.set_header(b"x-cache", outcome.encode())
    exchange.record.cache = outcome


async def _ask(
    exchange: Exchange, steps: Steps, caller: Caller, request: ApiRequest, lookup: Lookup, flight: Flight
) -> None:
    """Asks the upstream, on the caller's account, for what the cache does not have."""
    asked = request if lookup.inputs is None else lookup.inputs.left_to_ask()
    hold = await _admit(exchange, steps, caller, asked)
    try:
        if request.stream:
            await _stream(exchange, steps, asked, flight, hold)
        else:
            await _complete(exchange, steps, asked, lookup, flight, hold)
    except ApiError as failed:
        if failed.code in errors.NEVER_ASKED:
            steps.admission.settle(hold, None, used=False)
        raise
    finally:
        # Whatever has not been settled by now broke off.
        if not hold.settled:
            record = exchange.record
            steps.admission.settle(
                hold,
                record.usage,
                used=_may_be_charged(record),
                chunks=record.chunks,
                silent_s=record.silent_s,
                broken_off=True,
            )


async def _admit(exchange: Exchange, steps: Steps, caller: Caller, request: ApiRequest | None) -> Hold:
    hold = await steps.admission.reserve(caller, exchange.record.request_id, request)
    exchange.record.limiter = hold.limiter
    exchange.headers += hold.headers
    return hold


def _may_be_charged(record: RequestRecord) -> bool:
    """Of a request without an answer: unless the upstream said that it did not, it may have worked on it."""
    return record.upstream_attempts > 0 and may_be_charged(record.upstream_status or 200)


async def _replay(exchange: Exchange, request: ApiRequest, answer: bytes) -> None:
    if request.stream:
        await exchange.begin_stream()
        await exchange.end_stream(answer)
    else:
        await exchange.answer(200, answer)


async def _complete(
    exchange: Exchange, steps: Steps, request: ApiRequest, lookup: Lookup, flight: Flight, hold: Hold
) -> None:
    ask = partial(steps.upstream.complete, kept=Kept()) if request.kept else steps.batching.complete
    answer = await ask(
        "POST",
        request.endpoint.path,
        exchange,
        request.body,
        chain=request.chain,
        within_s=hold.caller.settings.caps.timeout_s,
    )
    _tell_model(exchange, request)
    exchange.record.usage = request.endpoint.usage_of(answer.value)
    failed = answer.status >= 400
    used = may_be_charged(answer.status)
    steps.admission.settle(hold, exchange.record.usage, used=used, broken_off=failed)
    if flight.slot and answer.status == 200 and request.endpoint.is_complete(answer.value):
        answer = _land(steps, flight, lookup, answer, keep=request.answering == request.model)
    if (signing := steps.ownership.signing(request, hold.caller)) is not None:
        answer = replace(answer, body=signing.in_answer(answer.body, answer.value))
    await pass_on(exchange, answer)


def _land(steps: Steps, flight: Flight, lookup: Lookup, answer: Answer, *, keep: bool) -> Answer:
    """Keeps a complete answer and gives it to whoever follows. Returns it as the caller is to have it."""
    if flight.slot is None:
        return answer
    if lookup.inputs is None:
        flight.is_kept = keep and steps.cache.keep(flight.slot, answer.body)
    else:
        completed = lookup.inputs.completed(answer.value, answer.body)
        if completed is None:
            if lookup.outcome == "partial":
                raise errors.upstream_malformed()
            return answer
        body, entries = completed
        answer = replace(answer, body=body)
        steps.cache.keep_inputs(flight.slot, entries)
    flight.land(answer.body)
    return answer


async def pass_on(exchange: Exchange, answer: Answer) -> None:
    if answer.status >= 400:
        exchange.record.error = "upstream_refused"
    exchange.headers.append(_processing_ms(exchange))
    await exchange.answer(answer.status, answer.body, answer.headers)


async def _stream(exchange: Exchange, steps: Steps, request: ApiRequest, flight: Flight, hold: Hold) -> None:
    endpoint = request.endpoint
    events = endpoint.events(request)
    if (signing := steps.ownership.signing(request, hold.caller)) is not None:
        events.spelled = signing.in_event
    exchange.errors_in_stream(events.error_event)
    outlet = Outlet(exchange, flight)
    pings = Pings(exchange, steps.ping_interval_s)
    try:
        async with steps.upstream.stream(
            endpoint.path,
            exchange,
            endpoint.body_for_stream(request),
            chain=request.chain,
            within_s=hold.caller.settings.caps.timeout_s,
            kept=Kept() if request.kept else None,
        ) as upstream:
            _tell_model(exchange, request)
            await exchange.begin_stream((_processing_ms(exchange),))
            while not events.done and (data := await upstream.readany()):
                passed = events.feed(data)
                if events.failed:
                    # Those who follow look for themselves.
                    flight.close()
                if events.done:
                    pings.stop()
                    steps.admission.settle(
                        hold, events.usage, used=True, chunks=events.chunks, silent_s=events.silent_s
                    )
                    whole = outlet.complete(passed)
                    kept = whole and request.answering == request.model
                    if flight.slot and kept and not events.failed and not events.shortened:
                        flight.is_kept = steps.cache.keep(flight.slot, whole)
                    await outlet.end(passed)
                    await _read_to_the_end(upstream)
                elif passed:
                    pings.postpone()
                    await outlet.write(passed)
            if events.failed and not events.done:
                pings.stop()
                outlet.complete(b"")
                await outlet.end(b"")
    except UpstreamRefusal as refusal:
        pings.stop()
        if exchange.begun:
            # The status line left with the first ping; what the upstream said comes as an event.
            exchange.record.error = "upstream_refused"
            await exchange.end_stream(events.error_event(refusal.error()))
        else:
            _tell_model(exchange, request)
            await pass_on(exchange, refusal.answer)
        return
    except MalformedStreamError:
        raise errors.upstream_malformed() from None
    except LeaderFailedError:
        # The client was too far behind those who follow.
        raise errors.upstream_cut() from None
    finally:
        pings.stop()
        outlet.close()
        exchange.record.usage, exchange.record.chunks = events.usage, events.chunks
        exchange.record.silent_s = events.silent_s
    if events.failed:
        exchange.record.error = "upstream_failed_in_stream"
    elif not events.done:
        raise errors.upstream_cut()


async def _read_to_the_end(upstream: aiohttp.StreamReader) -> None:
    """Lets the connection serve again; what comes after `[DONE]`, or fails to, is of no account."""
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(END_WITHIN_S):
            while await upstream.readany():
                pass


def _tell_model(exchange: Exchange, request: ApiRequest) -> None:
    """Which model answers, when the caller left the choice open. Names of chains are ASCII."""
    if request.chain is not None:
        exchange.set_header(b"x-gateway-model", request.answering.encode())


def _processing_ms(exchange: Exchange) -> Header:
    return (b"openai-processing-ms", b"%d" % exchange.record.elapsed_ms())
