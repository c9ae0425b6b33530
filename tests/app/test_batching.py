"""Who is joined with others gets what a request of its own would have given; the stand-in counts calls."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app.batching
from app.batching import LONGEST_WINDOW_S, WINDOW_S, Batching
from app.endpoints import COMPLETIONS, EMBEDDINGS, ApiRequest, Endpoint
from app.endpoints.endpoint import Chain
from app.errors import ApiError
from app.models.latency import Latencies
from app.secret_values import Deployment
from app.telemetry import RequestRecord
from app.upstream import Answer, Asking, Upstream
from app.upstream.standings import Standings
from app.vault import RotatingSecret
from tests.app.accounts import PRICES
from tests.app.conftest import OPENAI_KEY, StandIn
from tests.servers import until

COMPLETION = {"model": "gpt-3.5-turbo-instruct", "max_tokens": 8}
EMBEDDING = {"model": "text-embedding-3-small", "dimensions": 4}
LONGEST_S = 20.0


@dataclass(eq=False)
class Caller:
    """Whom a request is for. headers: of the request."""

    headers: dict[bytes, str] = field(default_factory=dict)
    record: RequestRecord = field(default_factory=lambda: RequestRecord(secrets.token_hex(8), "POST", ""))

    def has_any(self, names: Set[bytes]) -> bool:
        return any(self.header(name) is not None for name in names)

    def header(self, name: bytes) -> str | None:
        return self.headers.get(name)


class FixedSecret(RotatingSecret[tuple[Deployment, ...]]):
    """The stand-in's key, without a Secrets Manager."""

    def __init__(self) -> None:
        self.value = (Deployment(name="stand-in", key=OPENAI_KEY),)


class NotingUpstream(Upstream):
    """Notes when it is asked, by the loop's clock, and for whom."""

    asked_at: list[float]
    asked_for: list[Asking]

    async def complete(
        self, method: str, path: str, exchange: Asking, body: bytes | None = None, **options: Any
    ) -> Answer:
        self.asked_at.append(asyncio.get_running_loop().time())
        self.asked_for.append(exchange)
        return await super().complete(method, path, exchange, body, **options)


@asynccontextmanager
async def batching(
    stand_in: StandIn, most_prompts: int = 20, longest_s: float = LONGEST_S
) -> AsyncIterator[tuple[Batching, NotingUpstream]]:
    """What is tested, before the real client of the stand-in; it must have forgotten everybody at the end."""
    upstream = NotingUpstream(f"{stand_in.url}/v1", FixedSecret(), longest_s, Standings(Latencies()))
    upstream.asked_at, upstream.asked_for = [], []
    await upstream.open()
    stage = Batching(upstream, most_prompts, longest_s)
    try:
        yield stage, upstream
        await asyncio.sleep(0)
        assert (stage._parts, stage._queues) == ({}, {})
    finally:
        await upstream.close()


def completion(prompt: Any, **fields: Any) -> ApiRequest:
    return _request(COMPLETIONS, {**COMPLETION, "prompt": prompt, **fields})


def embedding(value: Any, **fields: Any) -> ApiRequest:
    return _request(EMBEDDINGS, {**EMBEDDING, "input": value, **fields})


def _request(endpoint: Endpoint, fields: dict[str, Any]) -> ApiRequest:
    return endpoint.parse(json.dumps(fields).encode())


async def ask(
    stage: Batching, request: ApiRequest, caller: Asking | None = None, within_s: float | None = None
) -> Answer:
    """As the gateway does: told of at once, then asked for."""
    caller = caller or Caller()
    stage.expect(caller, request)
    await asyncio.sleep(0)
    path, body = request.endpoint.path, request.body
    return await stage.complete("POST", path, caller, body, chain=request.chain, within_s=within_s)


def one_of_several(request: ApiRequest) -> ApiRequest:
    """That an alias of two models was meant by."""
    model = request.model
    return replace(request, chain=Chain("best", (model, "another"), None, answering=model))


def ask_all(stage: Batching, requests: list[ApiRequest]) -> "list[asyncio.Task[Answer]]":
    return [asyncio.create_task(ask(stage, request)) for request in requests]


def prompts_of(stand_in: StandIn) -> list[int]:
    """How many prompts or inputs each call had."""
    calls = [json.loads(call["body"]) for call in stand_in.calls()["last"]]
    return [len(value) if isinstance(value, list) else 1 for call in calls for value in [_inputs(call)]]


def _inputs(body: dict[str, Any]) -> Any:
    return body["prompt"] if "prompt" in body else body["input"]


async def outcome(asked: Awaitable[Answer], request: ApiRequest) -> dict[str, Any]:
    """What a caller gets, and what it is charged; without what is new each time."""
    try:
        answer = await asked
    except ApiError as refusal:
        return {"status": refusal.status, "code": refusal.code, "message": refusal.message}
    value = {name: one for name, one in answer.value.items() if name not in ("id", "created")}
    assert {**json.loads(answer.body), "id": 0, "created": 0} == {**answer.value, "id": 0, "created": 0}
    usage, price = request.endpoint.usage_of(answer.value), PRICES.price(request.model)
    cost = price.cost(usage) if usage and price else None
    return {"status": answer.status, "headers": answer.headers, "value": value, "micro_usd": cost}


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="#"), min_size=1, max_size=40)
tokens = st.lists(st.integers(0, 50_000), min_size=1, max_size=4)
bad = st.sampled_from([400, 403, 413, 422]).map(lambda status: f'#stand-in {{"status": {status}}}')
of_texts = st.one_of(texts, texts, st.lists(texts, min_size=1, max_size=6), st.lists(texts, min_size=22))
of_tokens = st.one_of(tokens, st.lists(tokens, min_size=1, max_size=4))
parameters: st.SearchStrategy[tuple[Any, dict[str, Any]]] = st.one_of(
    st.tuples(st.just(completion), st.sampled_from([{}, {"n": 2}, {"best_of": 2}, {"user": "a"}])),
    st.tuples(st.just(embedding), st.sampled_from([{}, {"encoding_format": "base64"}, {"dimensions": 3}])),
)


@st.composite
def mixes(draw: st.DrawFn) -> list[tuple[ApiRequest, float | None]]:
    """Requests of a few shapes, each with the time after which its caller leaves, None: it stays."""
    shapes = draw(st.lists(parameters, min_size=1, max_size=3))
    prompts = [draw(st.sampled_from([of_texts, of_tokens])) for _ in shapes]
    spoilt = draw(st.booleans())
    leaving = draw(st.sampled_from([(None,), (None, None, None, 0.0, 0.004)]))
    mix = []
    for _ in range(draw(st.integers(2, 30))):
        (make, fields), prompt = draw(st.sampled_from(list(zip(shapes, prompts, strict=True))))
        if spoilt:
            prompt = st.one_of(prompt, prompt, bad)
        mix.append((make(draw(prompt), **fields), draw(st.sampled_from(leaving))))
    return mix


failures = st.sampled_from(
    [
        *({}, {}, {}, {}, {}, {"without_usage": True}, {"malformed": True}),
        *({"cut_after": 0}, {"cut_after": 1}, {"status": 404}, {"status": 429, "retry_after_ms": 60_000}),
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mixes(), failures)
def test_each_gets_exactly_what_a_request_of_its_own_would_have_given(
    stand_in: StandIn, callers: list[tuple[ApiRequest, float | None]], failure: dict[str, Any]
) -> None:
    async def compare() -> None:
        stand_in.reset()
        async with batching(stand_in) as (stage, upstream):
            stand_in.behave(**failure)
            alone = [
                await outcome(upstream.complete("POST", one.endpoint.path, Caller(), one.body), one)
                for one, _ in callers
            ]
            stand_in.control("DELETE", "/calls")
            asked = ask_all(stage, [one for one, _ in callers])
            for task, (_, leaves_after_s) in zip(asked, callers, strict=True):
                if leaves_after_s is not None:
                    asyncio.get_running_loop().call_later(leaves_after_s, task.cancel)
            together = await asyncio.gather(
                *(outcome(task, one) for task, (one, _) in zip(asked, callers, strict=True)),
                return_exceptions=True,
            )
        for (_, leaves_after_s), expected, found in zip(callers, alone, together, strict=True):
            if isinstance(found, BaseException):
                assert leaves_after_s is not None
                assert isinstance(found, asyncio.CancelledError)
            else:
                assert found == expected
        calls = stand_in.calls()["total"]
        assert calls <= len(callers) + sum(count > 1 for count in prompts_of(stand_in))

    asyncio.run(compare())


@pytest.mark.parametrize("make", [completion, embedding])
async def test_200_prompts_at_once_are_10_calls(stand_in: StandIn, make: Callable[..., ApiRequest]) -> None:
    asked = [make(f"prompt {number}") for number in range(200)]
    async with batching(stand_in) as (stage, _):
        callers = [Caller() for _ in asked]
        answers = await asyncio.gather(*map(ask, [stage] * 200, asked, callers))
    assert prompts_of(stand_in) == [20] * 10
    assert len({answer.body for answer in answers}) == 200
    assert {(caller.record.upstream_attempts, caller.record.joined) for caller in callers} == {(1, 20)}
    assert {caller.record.upstream_status for caller in callers} == {200}
    assert len({caller.record.upstream_request_id for caller in callers}) == 10


async def test_one_after_another_each_goes_at_once_as_it_came(stand_in: StandIn) -> None:
    asked = [completion(f"prompt {number}") for number in range(30)]
    async with batching(stand_in) as (stage, upstream):
        waits_s = []
        for one in asked:
            caller = Caller()
            stage.expect(caller, one)
            began = asyncio.get_running_loop().time()
            await stage.complete("POST", one.endpoint.path, caller, one.body)
            waits_s.append(upstream.asked_at[-1] - began)
            assert caller.record.joined == 0
    assert sorted(waits_s)[len(waits_s) // 2] < WINDOW_S / 10
    assert [call["body"].encode() for call in stand_in.calls()["last"]] == [one.body for one in asked]


async def test_who_came_within_the_window_is_waited_for_although_it_is_late(stand_in: StandIn) -> None:
    async with batching(stand_in) as (stage, _):
        late = Caller()
        late_one = completion("late")

        async def come_late() -> Answer:
            stage.expect(late, late_one)
            await asyncio.sleep(5 * WINDOW_S)
            return await stage.complete("POST", late_one.endpoint.path, late, late_one.body)

        await asyncio.gather(come_late(), *ask_all(stage, [completion("one"), completion("two")]))
    assert prompts_of(stand_in) == [3]


async def test_who_does_not_come_is_waited_for_no_longer(stand_in: StandIn) -> None:
    async def leave(after_s: float) -> None:
        stage.expect(Caller(), completion("hit"))
        await asyncio.sleep(after_s)

    loop = asyncio.get_running_loop()
    async with batching(stand_in) as (stage, _):
        began = loop.time()
        leaving = asyncio.create_task(leave(3 * WINDOW_S))
        await asyncio.gather(leaving, *ask_all(stage, [completion("one"), completion("two")]))
        assert loop.time() - began < LONGEST_WINDOW_S / 2
        stuck = asyncio.create_task(leave(60))
        began = loop.time()
        await asyncio.gather(*ask_all(stage, [completion("three"), completion("four")]))
        assert loop.time() - began >= LONGEST_WINDOW_S
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
    assert prompts_of(stand_in) == [2, 2]


async def test_who_waits_for_anothers_answer_is_not_waited_for_by_it(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.batching, "LONGEST_WINDOW_S", 60.0)

    async def follow(leading: "asyncio.Task[Answer]", after_s: float) -> Answer:
        caller = Caller()
        stage.expect(caller, completion("same"))
        await asyncio.sleep(after_s)
        stage.not_coming(caller)
        return await leading

    async with batching(stand_in) as (stage, _), asyncio.timeout(LONGEST_S):
        for after_s in (0, 3 * WINDOW_S):
            leading, other = ask_all(stage, [completion("same"), completion("other")])
            answers = await asyncio.gather(other, *(follow(leading, after_s) for _ in range(3)))
            assert {answer.status for answer in answers} == {200}
    assert prompts_of(stand_in) == [2, 2]


async def test_who_comes_after_all_is_joined_as_one_that_comes_then(stand_in: StandIn) -> None:
    async def ask_after_all(request: ApiRequest) -> Answer:
        caller = Caller()
        stage.expect(caller, request)
        stage.not_coming(caller)
        await asyncio.sleep(WINDOW_S)
        return await stage.complete("POST", request.endpoint.path, caller, request.body)

    async with batching(stand_in) as (stage, _):
        await asyncio.gather(*(ask_after_all(completion(f"prompt {number}")) for number in range(3)))
    assert sorted(prompts_of(stand_in)) == [1, 2]


async def test_a_bad_prompt_fails_alone_and_costs_one_call_more_at_most(stand_in: StandIn) -> None:
    good = [completion(f"prompt {number}") for number in range(9)]
    bad = completion('#stand-in {"status": 400}')
    async with batching(stand_in) as (stage, _):
        *answers, refused = await asyncio.gather(*ask_all(stage, [*good, bad]))
    assert {answer.status for answer in answers} == {200}
    assert refused.status == 400
    assert sorted(prompts_of(stand_in)) == [1] * 10 + [10]


async def test_a_prompt_that_the_upstream_fails_on_fails_alone(stand_in: StandIn) -> None:
    bad = completion('#stand-in {"status": 500}')
    async with batching(stand_in) as (stage, _):
        answer, failed = await asyncio.gather(*ask_all(stage, [completion("good"), bad]))
    assert (answer.status, failed.status) == (200, 500)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ({"cut_after": 0}, "upstream_cut"),
        ({"cut_after": 1}, "upstream_cut"),
        ({"malformed": True}, "upstream_malformed"),
    ],
)
async def test_what_may_have_been_charged_is_not_asked_again(
    stand_in: StandIn, failure: dict[str, Any], code: str
) -> None:
    stand_in.behave(**failure)
    async with batching(stand_in) as (stage, _):
        asked = ask_all(stage, [completion("one"), completion("two")])
        failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [failed.code for failed in failures if isinstance(failed, ApiError)] == [code, code]
    assert stand_in.calls()["total"] == 1


async def test_a_refusal_for_the_rate_is_everybodys_and_tells_how_long(stand_in: StandIn) -> None:
    stand_in.behave(status=429, retry_after_ms=60_000)
    async with batching(stand_in) as (stage, _):
        answers = await asyncio.gather(*ask_all(stage, [embedding("one"), embedding("two")]))
    assert {answer.status for answer in answers} == {429}
    assert all((b"retry-after-ms", b"60000") in answer.headers for answer in answers)
    assert stand_in.calls()["total"] == 1


async def test_an_upstream_that_is_too_slow_is_given_up_for_all(stand_in: StandIn) -> None:
    stand_in.behave(delay_ms=20_000)
    async with batching(stand_in, longest_s=0.3) as (stage, _):
        asked = ask_all(stage, [completion("one"), completion("two")])
        failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [failed.code for failed in failures if isinstance(failed, ApiError)] == ["upstream_timeout"] * 2
    await asyncio.to_thread(until, lambda: stand_in.calls()["outcomes"].get("client_gone") == 1)


async def test_a_caller_that_leaves_takes_nobody_with_it_and_all_that_leave_stop_the_upstream(
    stand_in: StandIn,
) -> None:
    stand_in.behave(delay_ms=300)
    async with batching(stand_in) as (stage, _):
        callers = [Caller() for _ in range(3)]
        first, *others = [
            asyncio.create_task(ask(stage, completion(f"prompt {number}"), caller))
            for number, caller in enumerate(callers)
        ]
        await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 1)
        first.cancel()
        answers = await asyncio.gather(*others)
        assert {answer.status for answer in answers} == {200}
        assert callers[0].record.upstream_attempts == 1, "it may be charged"
        stand_in.behave(delay_ms=20_000)
        leaving = ask_all(stage, [completion("one"), completion("two")])
        await asyncio.to_thread(until, lambda: stand_in.calls()["running"] == 1)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await asyncio.to_thread(until, lambda: stand_in.calls()["outcomes"].get("client_gone") == 1)
    assert prompts_of(stand_in) == [3, 2]


async def test_who_leaves_between_a_failure_and_the_next_attempt_may_be_charged_unless_it_is_the_last(
    stand_in: StandIn,
) -> None:
    for staying in (1, 0):
        stand_in.reset()
        stand_in.behave(times=1, status=503, retry_after_ms=1000)
        async with batching(stand_in) as (stage, upstream):
            callers = [Caller(), Caller()]
            tasks = [asyncio.create_task(ask(stage, completion("prompt"), caller)) for caller in callers]
            await asyncio.to_thread(
                until, lambda: upstream.asked_for and upstream.asked_for[0].record.upstream_status == 503
            )
            for task in tasks[staying:]:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(answer, Answer) for answer in ended) == staying
        assert callers[1].record.upstream_attempts == 1
        assert callers[1].record.upstream_status == (None if staying else 503)
        assert stand_in.calls()["total"] == 1 + staying


async def test_who_leaves_before_the_call_is_not_in_it(stand_in: StandIn) -> None:
    async with batching(stand_in) as (stage, _):
        caller = Caller()
        leaving = asyncio.create_task(ask(stage, completion("gone"), caller))
        staying = ask_all(stage, [completion("one"), completion("two")])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(*staying)
        assert caller.record.upstream_attempts == 0
    assert "gone" not in stand_in.last_call()["body"]
    assert prompts_of(stand_in) == [2]


@pytest.mark.parametrize("header", [b"idempotency-key", b"x-client-request-id"])
async def test_what_names_one_callers_request_goes_alone(stand_in: StandIn, header: bytes) -> None:
    async with batching(stand_in) as (stage, _):
        callers = [Caller({header: str(number)}) for number in range(3)]
        await asyncio.gather(*(ask(stage, completion(f"{header!r}"), caller) for caller in callers))
    assert prompts_of(stand_in) == [1, 1, 1]


async def test_a_big_request_is_passed_on_whole_and_1_joins_nothing(stand_in: StandIn) -> None:
    async with batching(stand_in) as (stage, _):
        big = embedding([f"input {number}" for number in range(50)])
        await asyncio.gather(*ask_all(stage, [big, embedding("one"), embedding("two")]))
    assert sorted(prompts_of(stand_in)) == [2, 50]
    stand_in.reset()
    async with batching(stand_in, most_prompts=1) as (stage, _):
        await asyncio.gather(*ask_all(stage, [embedding("one"), embedding("two")]))
    assert prompts_of(stand_in) == [1, 1]


async def test_a_request_that_became_another_on_its_way_is_joined_as_what_it_is(stand_in: StandIn) -> None:
    """Of embeddings that the cache has some of, only the rest is asked for."""

    async def ask_for_the_rest(whole: ApiRequest, rest: ApiRequest) -> Answer:
        caller = Caller()
        stage.expect(caller, whole)
        await asyncio.sleep(0)
        return await stage.complete("POST", rest.endpoint.path, caller, rest.body)

    async with batching(stand_in) as (stage, _):
        answers = await asyncio.gather(
            ask_for_the_rest(embedding(["a", "b"]), embedding(["b"])),
            ask_for_the_rest(embedding(["c", "d"]), embedding(["c"])),
        )
    assert prompts_of(stand_in) == [2]
    assert [len(cast(Any, answer.value["data"])) for answer in answers] == [1, 1]


async def test_what_several_models_may_answer_goes_alone(stand_in: StandIn) -> None:
    async with batching(stand_in) as (stage, _):
        requests = [one_of_several(completion(f"prompt {number}")) for number in range(3)]
        await asyncio.gather(*ask_all(stage, requests))
    assert prompts_of(stand_in) == [1, 1, 1]


async def test_the_time_of_a_callers_project_ends_its_own_waiting_and_nobody_elses(stand_in: StandIn) -> None:
    stand_in.behave(delay_ms=1500)
    async with batching(stand_in) as (stage, _):
        hasty, patient = await asyncio.gather(
            ask(stage, completion("hasty"), within_s=0.5),
            ask(stage, completion("patient")),
            return_exceptions=True,
        )
        assert isinstance(hasty, ApiError)
        assert hasty.status == 504
        assert isinstance(patient, Answer)
        assert patient.status == 200
    assert prompts_of(stand_in) == [2]
