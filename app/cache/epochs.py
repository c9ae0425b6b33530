"""What an answer rests on, and how all that rests on it is forgotten at once.

A namespace and each tag have an epoch: a random text in Valkey. An entry carries the epochs it was asked
under, and one that carries others is not found; so invalidation is one write, whatever rests on the name, and
an answer that was under way meanwhile is stored under epochs that are gone.

An epoch that is missing (never made, or lost) is made anew, at random, so what was stored under a former
one never comes back. Names share MAX_EPOCHS places in each scope, which bounds what they take of memory: two
names in one place are invalidated together, which costs an answer and never gives a stale one.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache

from app.project_settings import ProjectSettings
from app.valkey import Valkey

MAX_EPOCHS = 1024
"""Places for epochs in a scope, about 120 bytes each."""

MAX_TAGS = 8
DEFAULT_NAMESPACE = "default"
"""Of a request that names none."""

NAME_RULE = "1 to 64 letters, digits, dots, hyphens, underscores and colons, beginning with a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

EPOCH_CHARACTERS = 16


def is_name(text: str) -> bool:
    """Whether it can name a namespace or a tag."""
    return _NAME.fullmatch(text) is not None


def scope_of(project_id: str, organization_id: str, settings: ProjectSettings) -> str:
    """Whose answers a project's are kept with: its own, or those of all that share in its organization."""
    return f"{organization_id}/shared" if settings.cache_shared else project_id


def scopes(project_id: str, organization_id: str, settings: ProjectSettings) -> list[str]:
    """Where answers of a project are, or were before it shared them."""
    return sorted({project_id, scope_of(project_id, organization_id, settings)})


def epoch_keys(scope: str, namespace: str, tags: Iterable[str] = ()) -> tuple[str, ...]:
    """Where the epochs are that an answer rests on, the namespace's first."""
    return (_key(scope, f"namespace {namespace}"), *(_key(scope, f"tag {tag}") for tag in tags))


def tag_keys(scope: str, tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(_key(scope, f"tag {tag}") for tag in tags)


async def begin(valkey: Valkey, keys: Sequence[str], found: Sequence[bytes | None]) -> list[bytes]:
    """The epochs, those that are missing made; another replica's, when it was faster.

    Raises ValkeyUnavailableError, ValkeyReplyError.
    """
    made = _new()
    missing = [key for key, epoch in zip(keys, found, strict=True) if epoch is None]
    before = iter(await asyncio.gather(*(valkey.execute("SET", key, made, "NX", "GET") for key in missing)))
    return [next(before) or made.encode() if epoch is None else epoch for epoch in found]


async def bump(valkey: Valkey, keys: Iterable[str]) -> None:
    """Forgets all that rests on what these keys stand for.

    Raises ValkeyUnavailableError, ValkeyReplyError.
    """
    epoch = _new()
    await valkey.execute("MSET", *(part for key in keys for part in (key, epoch)))


@lru_cache(maxsize=1024)
def _key(scope: str, name: str) -> str:
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % MAX_EPOCHS
    return f"cache:{{{scope}}}:epoch:{place}"


def _new() -> str:
    return secrets.token_hex(EPOCH_CHARACTERS // 2)
