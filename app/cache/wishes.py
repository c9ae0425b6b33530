"""What a caller wants of the cache, by the headers of a request.

`x-cache`: bypass (neither look nor keep), refresh (do not look, keep the new answer), only (answer from the
cache or not at all). `x-cache-ttl`: how many seconds the answer is kept. `x-cache-namespace`, `x-cache-tags`:
the knowledge that the answer rests on. `cache-control`: no-store is bypass, no-cache is refresh (RFC 9111).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.cache.epochs import DEFAULT_NAMESPACE, MAX_TAGS, NAME_RULE, is_name
from app.errors import ApiError, invalid_request
from app.project_settings import LONGEST_CACHE_TTL_S

Mode = Literal["use", "bypass", "refresh", "only"]
_MODES: dict[str, Mode] = {"bypass": "bypass", "refresh": "refresh", "only": "only"}

_MODE, _TTL = b"x-cache", b"x-cache-ttl"
_NAMESPACE, _TAGS = b"x-cache-namespace", b"x-cache-tags"
_CACHE_CONTROL = b"cache-control"
WISHING = frozenset((_MODE, _TTL, _NAMESPACE, _TAGS, _CACHE_CONTROL))
"""Headers that a request without wishes has none of."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """ttl_s: None for the project's. tags: sorted, each once."""

    mode: Mode = "use"
    ttl_s: int | None = None
    namespace: str = DEFAULT_NAMESPACE
    tags: tuple[str, ...] = ()


NO_WISHES = Wishes()


def parse_wishes(header: Callable[[bytes], str | None]) -> Wishes:
    """Raises ApiError (400) that names the header. `header`: a request header's value by lower-case name."""
    mode, ttl, control = header(_MODE), header(_TTL), header(_CACHE_CONTROL)
    namespace, tags = header(_NAMESPACE), header(_TAGS)
    if mode is ttl is control is namespace is tags is None:
        return NO_WISHES
    return Wishes(
        mode=_control(control) if mode is None else _mode(mode),
        ttl_s=None if ttl is None else _ttl_s(ttl),
        namespace=DEFAULT_NAMESPACE if namespace is None else check_name("x-cache-namespace", namespace),
        tags=() if tags is None else check_tags("x-cache-tags", [tag.strip() for tag in tags.split(",")]),
    )


def check_name(param: str, name: object) -> str:
    """A namespace or tag. Raises ApiError (400)."""
    if not isinstance(name, str) or not is_name(name):
        raise _invalid(param, f"must be {NAME_RULE}")
    return name


def check_tags(param: str, tags: Sequence[object]) -> tuple[str, ...]:
    """Tags, sorted and each once. Raises ApiError (400)."""
    if not 1 <= len(tags) <= MAX_TAGS:
        raise _invalid(param, f"must be 1 to {MAX_TAGS} tags")
    return tuple(sorted({check_name(f"{param}[{index}]", tag) for index, tag in enumerate(tags)}))


def _mode(value: str) -> Mode:
    mode = _MODES.get(value.strip().lower())
    if mode is None:
        raise _invalid("x-cache", "must be bypass, refresh or only")
    return mode


def _control(value: str | None) -> Mode:
    # Others' directives are none of ours, and an unknown one is to be ignored.
    directives = (value or "").lower()
    if "no-store" in directives:
        return "bypass"
    return "refresh" if "no-cache" in directives else "use"


def _ttl_s(value: str) -> int:
    text = value.strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_CACHE_TTL_S))
    if not is_number or not 1 <= int(text) <= LONGEST_CACHE_TTL_S:
        raise _invalid(
            "x-cache-ttl",
            f"must be a whole number of seconds from 1 to {LONGEST_CACHE_TTL_S}; "
            "to keep nothing, send x-cache: bypass",
        )
    return int(text)


def _invalid(param: str, requirement: str) -> ApiError:
    return invalid_request(f"{param} {requirement}.", param=param, code="invalid_value")
