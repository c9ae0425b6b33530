"""One form and one name for requests that ask the same, and never for two that do not."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import orjson

# The parser turns integers beyond 64 bits and long decimals into the nearest double; two that differ only
# there must not share an answer. Such a request is compared byte for byte.
_LONG_NUMBER = b"0" * 16
# A tenth of what a regular expression takes to look at each byte.
_DIGITS_ONLY = bytes(ord("0") if chr(byte) in "0123456789." else ord(" ") for byte in range(256))

REMEMBERED_BYTES = 1024


def canonical(body: bytes, fields: dict[str, object]) -> bytes:
    """One form for requests that differ only in spacing, the order of keys and the escaping of text."""
    if _LONG_NUMBER in body.translate(_DIGITS_ONLY):
        return body
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # It reads deeper than it writes.
        return body


def fingerprint(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts run together."""
    *common, last = parts
    # What requests to a model have in common is short, and read once.
    begun = _begun_before if sum(map(len, common)) <= REMEMBERED_BYTES else _begun
    digest = begun(*common).copy()
    digest.update(_with_length(last))
    return digest.hexdigest()


def fingerprints(parts: Iterable[str | bytes], last: Iterable[str | bytes]) -> list[str]:
    """The fingerprint of `parts` with each of `last` after them; what is common is read once."""
    common = _begun(*parts)
    found = []
    for part in last:
        digest = common.copy()
        digest.update(_with_length(part))
        found.append(digest.hexdigest())
    return found


def _begun(*parts: str | bytes) -> "hashlib._Hash":
    digest = hashlib.sha256()
    for part in parts:
        digest.update(_with_length(part))
    return digest


_begun_before = lru_cache(maxsize=1024)(_begun)


def _with_length(part: str | bytes) -> bytes:
    data = part.encode() if isinstance(part, str) else part
    return len(data).to_bytes(8, "big") + data
