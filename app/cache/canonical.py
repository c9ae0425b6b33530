"""One form and one name for requests that ask the same, and never for two that do not."""

import hashlib
import re

import orjson

# The parser turns integers beyond 64 bits and long decimals into the nearest double; two that differ only
# there must not share an answer. Such a request is compared byte for byte.
_LONG_NUMBER = re.compile(rb"[0-9.]{16}")


def canonical(body: bytes, fields: dict[str, object]) -> bytes:
    """One form for requests that differ only in spacing, the order of keys and the escaping of text."""
    if _LONG_NUMBER.search(body):
        return body
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        # It reads deeper than it writes.
        return body


def fingerprint(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length, so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
