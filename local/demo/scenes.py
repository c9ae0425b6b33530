"""The demo's requests, each with what must come of it and what the parts say of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
from openai.types import Completion
from openai.types.chat import ChatCompletion

from app import keys
from app.admin.issue import issue
from local.demo.evidence import Evidence
from local.demo.owner import budget
from local.demo.stage import DemoFailedError, Scene, Stage, expect, since_ms

MODEL = "gpt-4o-mini"
PROMPT = "Say in one sentence why staging and production are kept apart."
MANY = 50
HANDBOOK = "handbook"
FORGOTTEN_WITHIN_MS = 10_000
COMPLETION_MODEL = "gpt-3.5-turbo-instruct"
CALLERS = 20
SMALL_LIMIT = 5
"""Requests a minute of the key with which the demo runs into its limit."""


def completion(stage: Stage) -> Iterator[str]:
    """A chat completion"""
    before = stage.evidence.upstream_calls()
    answer, headers, elapsed_ms = _ask(stage)
    after = stage.evidence.upstream_calls()
    expect(after == before + 1, f"the upstream was called {after - before} times, not once")
    expect(headers["x-cache"] == "miss", f"x-cache is {headers['x-cache']}, not miss")
    yield f"answer     {_quoted(answer)}"
    yield from _trail(stage, headers, elapsed_ms)
    secret = stage.evidence.secret_name("GATEWAY_OPENAI_SECRET_ARN")
    yield f"upstream   called once, with the key from secret {secret}"
    if answer.usage:
        yield f"tokens     {answer.usage.prompt_tokens} in, {answer.usage.completion_tokens} out"


def stream(stage: Stage) -> Iterator[str]:
    """A streamed answer"""
    started = time.perf_counter()
    raw = stage.client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "What does a service need?"}], stream=True
    )
    headers, first_ms, chunks, finished = raw.headers, 0.0, 0, False
    for chunk in raw.parse():
        first_ms = first_ms or since_ms(started)
        chunks += 1
        finished = finished or any(choice.finish_reason for choice in chunk.choices)
    elapsed_ms = since_ms(started)
    expect(chunks > 1 and finished, f"the stream ended after {chunks} chunks, unfinished")
    yield f"answer     {chunks} chunks, the first after {first_ms:.1f} ms"
    yield from _trail(stage, headers, elapsed_ms)


def repeated(stage: Stage) -> Iterator[str]:
    """The first request again"""
    before = stage.evidence.upstream_calls()
    answer, headers, elapsed_ms = _ask(stage)
    expect(headers["x-cache"] == "hit", f"x-cache is {headers['x-cache']}, not hit")
    expect(stage.evidence.upstream_calls() == before, "the upstream was called for an answer in the cache")
    yield f"answer     {_quoted(answer)}"
    yield from _trail(stage, headers, elapsed_ms)
    yield "upstream   not called"


def new_knowledge(stage: Stage) -> Iterator[str]:
    """An answer that rests on a handbook, and a new chapter of it"""
    before = stage.evidence.upstream_calls()
    found = [_rests_on_handbook(stage) for _ in range(2)]
    expect(found == ["miss", "hit"], f"x-cache was {' and '.join(found)}, not miss and hit")
    calls = stage.evidence.upstream_calls() - before
    expect(calls == 1, f"the upstream was called {calls} times, not once")
    yield "asked      twice: once from the upstream, once from the cache"
    bucket, key = stage.evidence.environment["GATEWAY_BUCKET_NAME"], _chapter(stage)
    stage.evidence.aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=b"A new chapter.")
    started = time.perf_counter()
    while _is_cached(stage):
        expect(since_ms(started) < FORGOTTEN_WITHIN_MS, "the answer from before the chapter is still given")
        time.sleep(0.02)
    yield f"new        s3://{bucket}/{key}"
    yield f"forgotten  {since_ms(started):.0f} ms later, told by S3 through a queue"
    expect(_rests_on_handbook(stage) == "miss", "the answer came from the cache")
    calls = stage.evidence.upstream_calls() - before
    expect(calls == 2, f"the upstream was called {calls} times, not twice")
    yield "asked      again: the upstream was called once more"
    stage.client.post("/cache/invalidate", cast_to=object, body={"namespace": HANDBOOK})
    expect(not _is_cached(stage), "the answer from before the invalidation is still given")
    yield "forgotten  at once, by POST /v1/cache/invalidate"


def many(stage: Stage) -> Iterator[str]:
    """Fifty times the same question at the same time"""
    before = stage.evidence.upstream_calls()
    for streamed in (False, True):
        with ThreadPoolExecutor(MANY) as clients:
            asked = [clients.submit(_ask_slowly, stage, stream=streamed) for _ in range(MANY)]
            found = Counter(answer.result() for answer in asked)
        calls = stage.evidence.upstream_calls() - before
        before += calls
        expect(calls == 1, f"the upstream was called {calls} times for {MANY} requests, not once")
        shown = ", ".join(f"{number} {outcome}" for outcome, number in found.most_common())
        yield f"{'streams' if streamed else 'answers':11}{MANY}: {shown}"
        yield "upstream   called once"


def wrong_key(stage: Stage) -> Iterator[str]:
    """A wrong key"""
    before = stage.evidence.upstream_calls()
    stranger = stage.client.with_options(api_key="sk-gw-" + "nobody-made-this-key".ljust(43, "x"))
    try:
        stranger.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}])
    except openai.AuthenticationError as refusal:
        expect(refusal.code == "invalid_api_key", f"the code is {refusal.code}, not invalid_api_key")
        yield f"refused    {refusal.status_code} {refusal.code}"
    else:
        raise DemoFailedError("a key that nobody made was accepted")
    expect(stage.evidence.upstream_calls() == before, "the upstream was called for a wrong key")
    yield "upstream   not called"


def limit(stage: Stage) -> Iterator[str]:
    """A key that may make five requests a minute"""
    limited = stage.client.with_options(api_key=_limited_key(stage), max_retries=0)
    before, answered = stage.evidence.upstream_calls(), 0
    started = time.perf_counter()
    try:
        for number in range(3 * SMALL_LIMIT):
            limited.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": f"Request number {number}."}]
            )
            answered += 1
    except openai.RateLimitError as refusal:
        headers = refusal.response.headers
        yield f"answered   {answered} in {since_ms(started):.0f} ms"
        yield f"refused    {refusal.status_code} {refusal.code}, retry-after {headers['retry-after']} s"
        expect(refusal.code == "rate_limit_exceeded", f"the code is {refusal.code}, not rate_limit_exceeded")
    expect(answered == SMALL_LIMIT, f"{answered} requests were answered, not {SMALL_LIMIT}")
    calls = stage.evidence.upstream_calls() - before
    expect(calls == answered, f"the upstream was called {calls} times for {answered} answers")
    yield f"upstream   called {calls} times"


def joined(stage: Stage) -> Iterator[str]:
    """Twenty callers at once, a prompt each"""
    before = stage.evidence.upstream_calls("completions")
    started = time.perf_counter()
    answers = asyncio.run(_ask_at_once(stage, [f"Caller number {number} asks." for number in range(CALLERS)]))
    elapsed_ms = since_ms(started)
    calls = stage.evidence.upstream_calls("completions") - before
    texts = [answer.choices[0].text for answer in answers]
    mixed = [text for number, text in enumerate(texts) if f"Caller number {number} asks." not in text]
    expect(not mixed, f"{len(mixed)} callers got another's answer")
    expect(calls < CALLERS, f"the upstream was called {calls} times for {CALLERS} prompts")
    tokens = sum(answer.usage.total_tokens for answer in answers if answer.usage)
    yield f"answered   {len(answers)} in {elapsed_ms:.0f} ms, each with its own answer and its own usage"
    called = "once" if calls == 1 else f"{calls} times"
    yield f"upstream   called {called} for {CALLERS} prompts, {tokens} tokens in all"


SCENES: tuple[Scene, ...] = (
    completion,
    stream,
    repeated,
    new_knowledge,
    many,
    joined,
    wrong_key,
    limit,
    budget,
)


async def _ask_at_once(stage: Stage, prompts: list[str]) -> list[Completion]:
    """Each prompt as a caller of its own would ask, on a connection of its own."""
    async with (
        httpx2.AsyncClient(verify=stage.evidence.trust(), trust_env=False) as transport,
        openai.AsyncOpenAI(
            base_url=stage.evidence.base_url, api_key=stage.client.api_key, http_client=transport
        ) as client,
    ):
        asked = (client.completions.create(model=COMPLETION_MODEL, prompt=prompt) for prompt in prompts)
        return await asyncio.gather(*asked)


def _ask(stage: Stage) -> tuple[ChatCompletion, httpx2.Headers, float]:
    """The same request each time, and repeatable, so that its answer may be kept."""
    started = time.perf_counter()
    raw = stage.client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": PROMPT}], temperature=0
    )
    elapsed_ms = since_ms(started)
    return raw.parse(), raw.headers, elapsed_ms


def _rests_on_handbook(stage: Stage, **headers: str) -> str:
    """Asks what rests on the handbook; returns what the cache had to do with the answer."""
    raw = stage.client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "user", "content": "When is the office open?"}],
        temperature=0,
        extra_headers={"x-cache-namespace": HANDBOOK, **headers},
    )
    return str(raw.headers["x-cache"])


def _is_cached(stage: Stage) -> bool:
    try:
        return _rests_on_handbook(stage, **{"x-cache": "only"}) == "hit"
    except openai.NotFoundError:
        return False


def _chapter(stage: Stage) -> str:
    return f"knowledge/{_first_key(stage).project_id}/{HANDBOOK}/chapter-{time.time_ns()}.txt"


def _ask_slowly(stage: Stage, *, stream: bool) -> str:
    """The upstream takes its time, so that all ask before it has answered."""
    raw = stage.client.chat.completions.with_raw_response.create(
        model=MODEL,
        messages=[{"role": "user", "content": '#stand-in {"delay_ms": 500}'}],
        temperature=0,
        stream=stream,
    )
    if stream:
        for _ in raw.parse():
            pass
    return str(raw.headers["x-cache"])


def _trail(stage: Stage, headers: httpx2.Headers, elapsed_ms: float) -> Iterator[str]:
    """Which parts a request passed, and how long it was in each."""
    task_id, line = stage.evidence.log_line(headers["x-request-id"])
    gateway_ms = line["total_ms"]
    yield f"balancer   {stage.evidence.base_url}, {elapsed_ms:.1f} ms as the client saw it"
    yield f"task       {task_id[:12]}, {gateway_ms:.1f} ms"
    table = stage.evidence.environment["GATEWAY_TABLE_NAME"]
    yield f"key        {line['key_id']} of {line['project_id']}, found by its hash in table {table}"
    if most := headers.get("x-ratelimit-limit-requests"):
        yield f"limit      {headers['x-ratelimit-remaining-requests']} of {most} requests a minute left"
    else:
        yield "limit      not asked: an answer from the cache uses none of it"
    spent = f", upstream {line['upstream_ms']:.1f} ms" if line["upstream_ms"] is not None else ""
    cache = "bypass, the answer need not repeat" if line["cache"] == "bypass" else line["cache"]
    yield f"cache      {cache}{spent}"


def _limited_key(stage: Stage) -> str:
    """A second key of the first key's project, made as the operator makes one."""
    evidence, first = stage.evidence, _first_key(stage)
    return issue(
        evidence.aws.client("dynamodb"),
        evidence.environment["GATEWAY_TABLE_NAME"],
        _pepper(evidence),
        organization_id=first.organization_id,
        project_id=first.project_id,
        project_name="",
        key_name="Five a minute",
        requests_per_minute=SMALL_LIMIT,
    )


def _first_key(stage: Stage) -> keys.KeyRecord:
    """The record of the key with which the demo asks."""
    evidence = stage.evidence
    table = evidence.environment["GATEWAY_TABLE_NAME"]
    address = keys.key_address(keys.hash_key(_pepper(evidence), stage.client.api_key))
    return keys.parse_key_item(
        evidence.aws.call("dynamodb", "get_item", TableName=table, Key=address)["Item"]
    )


def _pepper(evidence: Evidence) -> str:
    return evidence.secret_value(evidence.container["secrets"][0]["valueFrom"])


def _quoted(answer: ChatCompletion) -> str:
    text = answer.choices[0].message.content or ""
    return f'"{text[:72]}{"…" if len(text) > 72 else ""}"'
