"""Which requests share an answer, and which answers are kept."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.admission.plan import Scopes
from app.cache import MAX_ANSWER_BYTES, ResponseCache, canonical, fingerprint
from app.endpoints import CHAT_COMPLETIONS, ApiRequest, Endpoint
from app.endpoints.chat import ChatCompletions
from app.identity import Caller
from app.limits import NO_LIMITS
from app.valkey import Valkey
from tests.servers import ValkeyServer, until


class OtherEndpoint(ChatCompletions):
    path = "/other"


def request(body: bytes, endpoint: Endpoint = CHAT_COMPLETIONS) -> ApiRequest:
    return ApiRequest(
        endpoint=endpoint,
        body=body,
        fields=orjson.loads(body),
        model="gpt-4o-mini",
        stream=False,
        include_usage=False,
        prompt_bound_tokens=100,
        answers=1,
        answer_bound_tokens=None,
    )


def caller(project_id: str = "proj_1", organization_id: str = "org-1") -> Caller:
    return Caller(
        "key_1",
        organization_id,
        project_id,
        Scopes("key_1", NO_LIMITS, project_id, NO_LIMITS, (), organization_id, NO_LIMITS),
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), values, max_size=5)


def shuffled(value: Any, chooser: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, chooser)) for key, inner in value.items()]
        chooser.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(inner, chooser) for inner in value]
    return value


def form(body: bytes) -> bytes:
    return canonical(body, orjson.loads(body))


@settings(max_examples=150, deadline=None)
@given(objects, st.randoms(use_true_random=False))
def test_spelling_does_not_matter(value: dict[str, Any], chooser: random.Random) -> None:
    one = json.dumps(value).encode()
    other = json.dumps(shuffled(value, chooser), indent=2, ensure_ascii=False).encode()
    # Numbers of 16 digits and more are compared as they are written, and so is everything around them.
    if form(one) != one:
        assert form(one) == form(other)


@settings(max_examples=200, deadline=None)
@given(objects, objects)
def test_different_requests_never_share_a_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    assert (form(json.dumps(one).encode()) == form(json.dumps(other).encode())) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"seed":18446744073709551617}', b'{"seed":18446744073709551618}'),
        (b'{"p":0.10000000000000000555}', b'{"p":0.1}'),
        (b'{"a":1}', b'{"a":true}'),
        (b'{"a":[1,2]}', b'{"a":[2,1]}'),
        (b'{"a":"1"}', b'{"a":1}'),
    ],
)
def test_what_a_parser_would_blur_stays_apart(one: bytes, other: bytes) -> None:
    assert form(one) != form(other)


def test_what_is_too_deep_to_be_written_again_is_compared_as_it_is() -> None:
    deep = b'{"a":' * 1000 + b"1" + b"}" * 1000
    assert form(deep) == deep
    assert form(b" " + deep) != form(deep)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_parts_never_run_together(one: list[str], other: list[str]) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


async def open_valkey(server: ValkeyServer) -> Valkey:
    async def credentials(_refused: bool) -> tuple[str, str]:
        return server.username, server.password

    client = Valkey(f"redis://127.0.0.1:{server.port}", credentials)
    await client.open()
    return client


ASKED = request(b'{"temperature":0,"messages":["one"]}')


async def test_an_answer_is_given_to_the_same_project_only(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        cache = ResponseCache(client, 60, "https://one")
        slot = (await cache.look_up(ASKED, caller(), None)).slot
        assert slot
        cache.keep(slot, b"answer")
        assert (await cache.look_up(ASKED, caller(), None)).answer == b"answer"
        others = [
            (cache, request(ASKED.body, OtherEndpoint()), caller()),
            (cache, request(b'{"temperature":0,"messages":["two"]}'), caller()),
            (cache, ASKED, caller(project_id="proj_2")),
            (cache, ASKED, caller(organization_id="org-2")),
            (ResponseCache(client, 60, "https://two"), ASKED, caller()),
        ]
        for asked, body, who in others:
            assert (await asked.look_up(body, who, None)).outcome == "miss"
    finally:
        await client.close()


async def test_a_new_epoch_forgets_a_namespace_and_answers_under_way(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        cache = ResponseCache(client, 60, "https://epoch")
        who = caller(project_id="proj_epoch")
        before = (await cache.look_up(ASKED, who, None)).slot
        assert before
        cache.keep(before, b"old")
        assert (await cache.look_up(ASKED, who, None)).outcome == "hit"
        await client.execute("SET", "cache:{proj_epoch}:epoch", "2")
        assert (await cache.look_up(ASKED, who, None)).outcome == "miss"
        cache.keep(before, b"late")
        now = await cache.look_up(ASKED, who, None)
        assert now.outcome == "miss"
        assert now.slot
        cache.keep(now.slot, b"new")
        assert (await cache.look_up(ASKED, who, None)).answer == b"new"
    finally:
        await client.close()


async def test_the_caller_can_ask_for_a_fresh_answer_or_to_keep_none(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        cache = ResponseCache(client, 60, "https://control")
        slot = (await cache.look_up(ASKED, caller(), None)).slot
        assert slot
        cache.keep(slot, b"old")
        fresh = await cache.look_up(ASKED, caller(), "no-cache")
        assert (fresh.outcome, fresh.slot) == ("miss", slot)
        assert (await cache.look_up(ASKED, caller(), "no-store")).outcome == "bypass"
        off = ResponseCache(client, 0, "https://control")
        assert (await off.look_up(ASKED, caller(), None)).outcome == "bypass"
    finally:
        await client.close()


async def test_answers_expire_and_giants_are_not_kept(valkey: ValkeyServer) -> None:
    client = await open_valkey(valkey)
    try:
        cache = ResponseCache(client, 60, "https://expiry")
        slot = (await cache.look_up(ASKED, caller(), None)).slot
        assert slot
        cache.keep(slot, b"x" * (MAX_ANSWER_BYTES + 1))
        assert await client.execute("EXISTS", slot.key) == 0
        cache.keep(slot, b"x")
        assert 0 < await client.execute("PTTL", slot.key) <= 60_000
    finally:
        await client.close()


async def test_without_a_cache_every_request_is_a_bypass() -> None:
    async def nobody(_refused: bool) -> None:
        return None

    client = Valkey("redis://127.0.0.1:1", nobody)
    await client.open()
    try:
        cache = ResponseCache(client, 60, "https://gone")
        assert (await cache.look_up(ASKED, caller(), None)).outcome == "bypass"
    finally:
        await client.close()
    assert until(lambda: client.trouble)
