"""Which requests share an answer, which answers are kept, and for how long they are good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.admission.plan import Scopes
from app.cache import Lookup, Question, ResponseCache, Wishes, scopes_of
from app.cache.slot import MAX_ANSWER_BYTES, Slot
from app.endpoints import CHAT_COMPLETIONS, EMBEDDINGS, MODERATIONS, RESPONSES, ApiRequest, Endpoint
from app.endpoints.chat import ChatCompletions
from app.identity import Caller
from app.limits import NO_LIMITS
from app.project_settings import ProjectSettings
from app.valkey import Valkey
from tests.app.conftest import open_valkey
from tests.servers import ValkeyServer, until


class OtherEndpoint(ChatCompletions):
    path = "/other"


NO_SETTINGS = ProjectSettings()


def request(fields: dict[str, Any], endpoint: Endpoint = CHAT_COMPLETIONS) -> ApiRequest:
    return endpoint.parse(orjson.dumps(fields))


def asking(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


ASKED = request(asking("one", temperature=0))


def caller(
    project_id: str = "proj_1", organization_id: str = "org-1", settings: ProjectSettings = NO_SETTINGS
) -> Caller:
    return Caller(
        "key_1",
        organization_id,
        project_id,
        Scopes("key_1", NO_LIMITS, project_id, NO_LIMITS, (), organization_id, NO_LIMITS),
        settings=settings,
    )


@asynccontextmanager
async def opened(server: ValkeyServer) -> AsyncIterator[Valkey]:
    client = await open_valkey(server)
    try:
        yield client
    finally:
        await client.close()


def question(
    cache: ResponseCache,
    asked: ApiRequest = ASKED,
    who: Caller | None = None,
    variant: str | None = None,
    **wishes: Any,
) -> Question | None:
    return cache.question(asked, who or caller(), Wishes(**wishes), variant)


async def look(
    cache: ResponseCache, asked: ApiRequest = ASKED, who: Caller | None = None, **w: Any
) -> Lookup:
    return await cache.look_up(question(cache, asked, who, **w))


async def slot_of(
    cache: ResponseCache, asked: ApiRequest = ASKED, who: Caller | None = None, **w: Any
) -> Slot:
    slot = (await look(cache, asked, who, **w)).slot
    assert slot
    return slot


async def test_an_answer_is_given_to_the_same_project_only(valkey: ValkeyServer) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://one")
        cache.keep(await slot_of(cache), b"answer")
        assert (await look(cache)).answer == b"answer"
        for who in (caller("proj_2"), caller(organization_id="org-2")):
            assert (await look(cache, who=who)).outcome == "miss"
        elsewhere = ResponseCache(client, 60, "https://two")
        assert (await look(elsewhere)).outcome == "miss"
        other_endpoint = request(asking("one", temperature=0), OtherEndpoint())
        assert (await look(cache, other_endpoint)).outcome == "miss"


async def test_projects_that_say_so_share_within_their_organization(valkey: ValkeyServer) -> None:
    shared = ProjectSettings(cache_shared=True)
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://shared")
        cache.keep(await slot_of(cache, who=caller("proj_a", settings=shared)), b"answer")
        assert (await look(cache, who=caller("proj_b", settings=shared))).answer == b"answer"
        for who in (caller("proj_a"), caller("proj_b"), caller("proj_b", "org-2", shared)):
            assert (await look(cache, who=who)).outcome == "miss"
        await cache.invalidate(scopes_of(caller("proj_b", settings=shared)), "default", ())
        assert (await look(cache, who=caller("proj_a", settings=shared))).outcome == "miss"


CHAT_FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m", "n"]),
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "system"]), "content": st.text(max_size=3)}
            ),
            min_size=1,
            max_size=2,
        ),
        "temperature": st.just(0),
    },
    optional={
        "seed": st.integers(0, 2),
        "max_completion_tokens": st.integers(1, 3),
        "stop": st.sampled_from(["a", ["a"], ["a", "b"]]),
        "n": st.integers(1, 2),
        "stream": st.booleans(),
        "tools": st.just([]),
        "user": st.text(max_size=2),
        "of_tomorrow": st.none() | st.booleans() | st.integers(0, 1),
    },
)
SURROUNDINGS = st.fixed_dictionaries(
    {
        "who": st.sampled_from(
            [
                caller("proj_1"),
                caller("proj_2"),
                caller("proj_1", "org-2"),
                caller("proj_1", settings=ProjectSettings(cache_shared=True)),
            ]
        ),
        "variant": st.sampled_from([None, "assistants=v2"]),
        "namespace": st.sampled_from(["default", "docs"]),
        "tags": st.sampled_from([(), ("a",), ("a", "b"), ("b",)]),
    }
)


def shuffled(value: Any, chooser: Any) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(inner, chooser)) for key, inner in value.items()]
        chooser.shuffle(items)
        return dict(items)
    return [shuffled(inner, chooser) for inner in value] if isinstance(value, list) else value


NOWHERE = ResponseCache(Valkey("redis://127.0.0.1:1", lambda _refused: None), 60, "https://nowhere")  # type: ignore[arg-type,return-value]


@settings(max_examples=300, deadline=None)
@given(CHAT_FIELDS, SURROUNDINGS, CHAT_FIELDS, SURROUNDINGS, st.randoms(use_true_random=False))
def test_requests_that_differ_in_anything_never_share_an_entry_and_the_order_of_keys_does_not_matter(
    one: dict[str, Any], around: dict[str, Any], other: dict[str, Any], beside: dict[str, Any], chooser: Any
) -> None:
    place = question(NOWHERE, request(one), **around)
    assert place is not None
    assert place == question(NOWHERE, request(shuffled(one, chooser)), **around)
    # 0 and false are one value to Python and two to JSON.
    same = (orjson.dumps(one, option=orjson.OPT_SORT_KEYS), around) == (
        orjson.dumps(other, option=orjson.OPT_SORT_KEYS),
        beside,
    )
    elsewhere = question(NOWHERE, request(other), **beside)
    assert elsewhere is not None
    assert (place.key == elsewhere.key) == same


INPUT_FIELDS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["m", "n"]),
        "input": st.lists(st.text(min_size=1, max_size=2), min_size=1, max_size=4)
        | st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=2), min_size=1, max_size=3),
    },
    optional={
        "dimensions": st.integers(1, 2),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "user": st.sampled_from(["u", "v"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(INPUT_FIELDS, INPUT_FIELDS)
def test_inputs_share_an_entry_when_they_and_all_around_them_are_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = (question(NOWHERE, request(fields, EMBEDDINGS)) for fields in (one, other))
    assert first is not None
    assert second is not None
    around = {**one, "input": 0} == {**other, "input": 0}
    for entry, key in zip(one["input"], first.input_keys, strict=True):
        for another, other_key in zip(other["input"], second.input_keys, strict=True):
            assert (key == other_key) == (around and entry == another)


async def test_a_text_alone_and_in_a_list_is_one_input(valkey: ValkeyServer) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://inputs")
        alone, listed, tokens = (
            question(cache, request({"model": "m", "input": value}, EMBEDDINGS))
            for value in ("a", ["b", "a"], [1, 2])
        )
        assert alone
        assert listed
        assert tokens
        assert alone.input_keys == listed.input_keys[1:]
        assert len(tokens.input_keys) == 1
        unknown = request({"model": "m", "input": ["a", "b"], "of_tomorrow": 1}, EMBEDDINGS)
        whole = question(cache, unknown)
        assert whole
        assert whole.inputs is None


async def test_invalidation_forgets_a_namespace_or_tag_and_answers_under_way(valkey: ValkeyServer) -> None:
    who = caller("proj_epoch")
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://epoch")
        for wishes, namespace, tags in (
            ({}, "default", ()),
            ({"namespace": "docs"}, "docs", ()),
            ({"namespace": "docs", "tags": ("a", "b")}, None, ("b",)),
        ):
            before = await slot_of(cache, who=who, **wishes)
            cache.keep(before, b"old")
            assert (await look(cache, who=who, **wishes)).outcome == "hit"
            await cache.invalidate(scopes_of(who), namespace, tags)
            assert (await look(cache, who=who, **wishes)).outcome == "miss"
            cache.keep(before, b"late")
            now = await slot_of(cache, who=who, **wishes)
            assert (await look(cache, who=who, **wishes)).outcome == "miss"
            cache.keep(now, b"new")
            assert (await look(cache, who=who, **wishes)).answer == b"new"


async def test_invalidation_leaves_other_projects_and_names_alone(valkey: ValkeyServer) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://others")
        cache.keep(await slot_of(cache, tags=("a",)), b"kept")
        await cache.invalidate(scopes_of(caller()), "docs", ("b",))
        await cache.invalidate(scopes_of(caller("proj_2")), "default", ("a",))
        assert (await look(cache, tags=("a",))).answer == b"kept"


async def test_an_epoch_that_is_lost_brings_nothing_back(valkey: ValkeyServer) -> None:
    who = caller("proj_lost")
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://lost")
        asked = question(cache, who=who)
        assert asked
        cache.keep(await slot_of(cache, who=who), b"old")
        for _ in range(2):
            await client.execute("DEL", *asked.epoch_keys)
            assert (await look(cache, who=who)).outcome == "miss"
        assert await client.execute("TTL", asked.epoch_keys[0]) == -1


async def test_epochs_take_no_more_places_than_there_are(valkey: ValkeyServer) -> None:
    who = caller("proj_many")
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://many")
        for number in range(1500):
            await cache.invalidate(scopes_of(who), f"n{number}", (f"t{number}",))
        _, keys = await client.execute("SCAN", 0, "MATCH", "cache:{proj_many}:epoch:*", "COUNT", 1_000_000)
        assert 900 < len(keys) <= 1024


async def test_the_caller_can_ask_for_a_fresh_answer_or_to_keep_none(valkey: ValkeyServer) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://control")
        slot = await slot_of(cache)
        cache.keep(slot, b"old")
        fresh = await look(cache, mode="refresh")
        assert (fresh.outcome, fresh.slot) == ("miss", slot)
        assert (await look(cache, mode="bypass")).outcome == "bypass"
        off = ResponseCache(client, 0, "https://control")
        assert (await look(off, who=caller(settings=ProjectSettings(cache_ttl_s=60)))).outcome == "bypass"


async def test_answers_expire_as_stack_project_or_request_says_and_giants_are_not_kept(
    valkey: ValkeyServer,
) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://expiry")
        slot = await slot_of(cache)
        assert not cache.keep(slot, b"x" * (MAX_ANSWER_BYTES + 1))
        assert await client.execute("EXISTS", slot.key) == 0
        short = caller(settings=ProjectSettings(cache_ttl_s=20))
        for who, asked_s, ttl_s in ((None, None, 60), (short, None, 20), (short, 40, 40)):
            slot = await slot_of(cache, who=who, ttl_s=asked_s)
            assert cache.keep(slot, b"x")
            assert (ttl_s - 5) * 1000 < await client.execute("PTTL", slot.key) <= ttl_s * 1000
            await client.execute("DEL", slot.key)
        none = caller(settings=ProjectSettings(cache_ttl_s=0))
        assert (await look(cache, who=none)).outcome == "bypass"


@pytest.mark.parametrize(
    ("endpoint", "fields", "asked_for", "pure"),
    [
        (CHAT_COMPLETIONS, asking("a"), False, True),
        (CHAT_COMPLETIONS, asking("a", temperature=0), True, True),
        (CHAT_COMPLETIONS, asking("a", seed=1), True, True),
        (CHAT_COMPLETIONS, asking("a", temperature=0, store=True), False, False),
        (CHAT_COMPLETIONS, asking("a", seed=1, web_search_options={}), False, False),
        (RESPONSES, {"model": "m", "input": "a", "store": False}, False, True),
        (RESPONSES, {"model": "m", "input": "a", "store": False, "temperature": 0}, True, True),
        (RESPONSES, {"model": "m", "input": "a", "temperature": 0}, False, False),
        (EMBEDDINGS, {"model": "m", "input": "a"}, True, True),
        (MODERATIONS, {"model": "m", "input": "a"}, False, False),
    ],
)
def test_what_is_kept_unless_and_when_the_project_keeps_all(
    endpoint: Endpoint, fields: dict[str, Any], asked_for: bool, pure: bool
) -> None:
    everything = caller(settings=ProjectSettings(cache_all=True))
    assert (question(NOWHERE, request(fields, endpoint)) is not None) is asked_for
    assert (question(NOWHERE, request(fields, endpoint), everything) is not None) is pure


async def test_one_replica_asks_and_the_lease_ends_with_the_answer_or_without(valkey: ValkeyServer) -> None:
    who = caller("proj_lease")
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://lease")
        slot = await slot_of(cache, who=who)
        first = await cache.lease(slot)
        assert first
        assert await cache.lease(slot) is None
        assert (await look(cache, who=who)).leased
        first.end(replaced=False)
        assert not (await look(cache, who=who)).leased
        second = await cache.lease(slot)
        assert second
        first.end(replaced=False)
        assert (await look(cache, who=who)).leased
        cache.keep(slot, b"answer")
        second.end(replaced=True)
        assert await cache.lease(slot) is None
        await cache.invalidate(scopes_of(who), "default", ())
        third = await cache.lease(await slot_of(cache, who=who))
        assert third
        third.end(replaced=False)


async def test_a_lookup_takes_the_lease_along_where_nothing_stands(valkey: ValkeyServer) -> None:
    who = caller("proj_lease_along")
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://lease")
        asked = question(cache, who=who)
        # Without epochs there is nothing yet that a lease could be under.
        assert (await cache.look_up(asked, to_ask=True)).lease is None
        first = await cache.look_up(asked, to_ask=True)
        assert (first.outcome, first.leased) == ("miss", False)
        assert first.lease
        assert first.slot
        other = await cache.look_up(asked, to_ask=True)
        assert (other.outcome, other.leased, other.lease) == ("miss", True, None)
        first.lease.end(replaced=False)
        again = await cache.look_up(asked, to_ask=True)
        assert again.lease
        cache.keep(first.slot, b"answer")
        again.lease.end(replaced=True)
        hit = await cache.look_up(asked, to_ask=True)
        assert (hit.outcome, hit.answer, hit.lease) == ("hit", b"answer", None)
        await cache.invalidate(scopes_of(who), "default", ())
        stale = await cache.look_up(asked, to_ask=True)
        assert stale.answer is None
        assert stale.lease
        stale.lease.end(replaced=False)


async def test_a_lease_whose_asker_left_before_it_was_told_is_given_back(valkey: ValkeyServer) -> None:
    async with opened(valkey) as client:
        cache = ResponseCache(client, 60, "https://lease")
        asked = question(cache, who=caller("proj_lease_left"))
        await cache.look_up(asked)
        looking = asyncio.create_task(cache.look_up(asked, to_ask=True))
        await asyncio.sleep(0)
        looking.cancel()
        assert (await asyncio.gather(looking, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        # Its answer comes before the next command's.
        assert not (await cache.look_up(asked)).leased or not (await cache.look_up(asked)).leased


async def test_without_a_cache_every_request_is_a_bypass() -> None:
    async def nobody(_refused: bool) -> None:
        return None

    client = Valkey("redis://127.0.0.1:1", nobody)
    await client.open()
    try:
        cache = ResponseCache(client, 60, "https://gone")
        found = await look(cache)
        assert found.outcome == "bypass"
        assert found.slot
        assert not cache.keep(found.slot, b"answer")
        # Nobody can say who else asks, so everybody does.
        lease = await cache.lease(found.slot)
        assert lease
        lease.end(replaced=True)
    finally:
        await client.close()
    assert until(lambda: client.trouble)
