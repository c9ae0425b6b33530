"""Asks the upstream for a stream's usage chunk without touching another byte of the request."""

import json
import re

import orjson

from app.validate import ChatRequest

# A quote that is escaped belongs to a longer key; text cannot hold the bare form.
_OPTIONS = re.compile(rb'(?<!\\)"stream_options"\s*:\s*\{')
_ASK = b'"include_usage":true'


def with_usage_chunk(request: ChatRequest) -> bytes:
    """The body to send: the caller's own when it asks for the chunk already."""
    if request.include_usage:
        return request.body
    options = request.fields.get("stream_options")
    if options is None and "stream_options" not in request.fields:
        return _after(request.body, request.body.index(b"{") + 1, b'"stream_options":{' + _ASK + b"}")
    if isinstance(options, dict) and "include_usage" not in options:
        found = list(_OPTIONS.finditer(request.body))
        if len(found) == 1:
            edited = _after(request.body, found[0].end(), _ASK)
            if orjson.loads(edited).get("stream_options", {}).get("include_usage") is True:
                return edited
    # It says null or false in so many words, or spells the key in an unusual way: written anew, with Python's
    # own parser, which keeps integers of any size.
    fields = json.loads(request.body)
    fields["stream_options"] = {**(options or {}), "include_usage": True}
    return json.dumps(fields, separators=(",", ":")).encode()


def _after(body: bytes, position: int, member: bytes) -> bytes:
    """`body` with a member put in where an object begins."""
    rest = body[position:]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return body[:position] + member + comma + rest
