"""Sets fields of a JSON object in its bytes, without touching any other byte of it."""

import re
from collections.abc import Iterator, Mapping

import orjson

# What a value consists of, as far as its end can be told by it: strings, and what opens and closes.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)
_PLAIN = re.compile(rb'\s*:\s*("[^"\\]*"|null|[0-9.eE+-]+)')
_SPACE = b" \t\r\n"


def with_members(body: bytes, fields: Mapping[str, object], members: Mapping[str, object]) -> bytes:
    """`body`, whose members are `fields`, with others: replaced where they are, put first where they are not.

    A member that is there more than once is replaced each time, so that both sides read the same.
    """
    for name, value in members.items():
        if name not in fields:
            member = orjson.dumps(name) + b":" + orjson.dumps(value)
            body = put_first(body, body.index(b"{") + 1, member)
        elif fields[name] != value or body.count(orjson.dumps(name)) != 1:
            body = _replaced(body, name, value)
    return body


def put_first(body: bytes, position: int, member: bytes) -> bytes:
    """`body` with a member put in at `position`, where an object begins."""
    rest = body[position:]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return body[:position] + member + comma + rest


def _replaced(body: bytes, name: str, value: object) -> bytes:
    """With the obvious place first: where only one member looks like it, and it was it."""
    encoded, key = orjson.dumps(value), orjson.dumps(name)
    at = body.find(key)
    if at >= 0 and body.find(key, at + 1) < 0 and (plain := _PLAIN.match(body, at + len(key))):
        edited = body[: plain.start(1)] + encoded + body[plain.end() :]
        if orjson.loads(edited)[name] == value:
            return edited
    parts: list[bytes] = []
    end = 0
    for found_name, value_start, value_end in _members(body):
        if found_name == name:
            parts += (body[end:value_start], encoded)
            end = value_end
    return b"".join((*parts, body[end:]))


def _members(body: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, where its value begins, where it ends) of each member of the object itself."""
    depth = 0
    name: bytes | None = None
    start = -1
    for token in _TOKEN.finditer(body):
        kind = body[token.start()]
        if kind in b"{[":
            depth += 1
        elif kind in b"}]":
            depth -= 1
        if depth > 1:
            continue
        if kind == ord('"'):
            if depth == 1 and start < 0:
                name = token.group()
        elif kind == ord(":"):
            start = token.end()
        elif start >= 0 and name is not None and (kind == ord(",") or depth == 0):
            value = body[start : token.start()]
            begin = start + len(value) - len(value.lstrip(_SPACE))
            yield orjson.loads(name), begin, begin + len(value.strip(_SPACE))
            start = -1
