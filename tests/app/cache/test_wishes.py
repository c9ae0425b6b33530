"""What the headers of a request say to the cache, and what an invalidation names."""

import pytest

from app.cache import Wishes, invalidation, parse_wishes
from app.errors import ApiError


def wishes(**headers: str) -> Wishes:
    return parse_wishes(lambda name: headers.get(name.decode().replace("-", "_")))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Wishes()),
        ({"x_cache": "bypass"}, Wishes("bypass")),
        ({"x_cache": " Refresh "}, Wishes("refresh")),
        ({"x_cache": "only"}, Wishes("only")),
        ({"cache_control": "no-store"}, Wishes("bypass")),
        ({"cache_control": "max-age=0, no-cache"}, Wishes("refresh")),
        ({"cache_control": "max-age=3"}, Wishes()),
        ({"cache_control": "no-store", "x_cache": "only"}, Wishes("only")),
        ({"x_cache_ttl": "1"}, Wishes(ttl_s=1)),
        ({"x_cache_ttl": "2592000"}, Wishes(ttl_s=2_592_000)),
        ({"x_cache_namespace": "docs-v1.2"}, Wishes(namespace="docs-v1.2")),
        ({"x_cache_tags": "b, a,b , doc:7"}, Wishes(tags=("a", "b", "doc:7"))),
    ],
)
def test_headers_say_what_is_wanted(headers: dict[str, str], expected: Wishes) -> None:
    assert wishes(**headers) == expected


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x_cache": "yes"}, "x-cache"),
        ({"x_cache": ""}, "x-cache"),
        *(
            ({"x_cache_ttl": ttl}, "x-cache-ttl")
            for ttl in ("0", "-1", "1.5", "", "2592001", "9" * 400, "٣", "1h")
        ),
        *(
            ({"x_cache_namespace": name}, "x-cache-namespace")
            for name in ("", "a b", "a/b", "x" * 65, "é", ".a")
        ),
        ({"x_cache_tags": ""}, "x-cache-tags[0]"),
        ({"x_cache_tags": "a,,b"}, "x-cache-tags[1]"),
        ({"x_cache_tags": ",".join("abcdefghi")}, "x-cache-tags"),
    ],
)
def test_a_wrong_header_is_named(headers: dict[str, str], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        wishes(**headers)
    assert (refused.value.status, refused.value.param, refused.value.code) == (400, param, "invalid_value")
    assert refused.value.message.startswith(param)


def test_an_invalidation_names_a_namespace_or_tags_or_both() -> None:
    assert invalidation(b'{"namespace": "docs"}').namespace == "docs"
    assert invalidation(b'{"tags": ["b", "a"]}').tags == ("a", "b")
    both = invalidation(b'{"namespace": "docs", "tags": ["a"]}')
    assert (both.namespace, both.tags) == ("docs", ("a",))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{}", "namespace"),
        (b'{"namespace": null}', "namespace"),
        (b'{"namespace": 1}', "namespace"),
        (b'{"namespace": "a b"}', "namespace"),
        (b'{"tags": "a"}', "tags"),
        (b'{"tags": []}', "tags"),
        (b'{"tags": ["a", 1]}', "tags[1]"),
        (b'{"namespace": "a", "tag": ["a"]}', "tag"),
    ],
)
def test_a_wrong_invalidation_is_refused_and_its_field_named(body: bytes, param: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        invalidation(body)
    assert (refused.value.status, refused.value.param) == (400, param)
