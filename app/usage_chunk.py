"""Asks the upstream for a stream's usage chunk without touching another byte of the request."""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.errors import invalid_request
from app.members import put_first

# A quote that is escaped belongs to a longer key; text cannot hold the bare form.
_OPTIONS = re.compile(rb'(?<!\\)"stream_options"\s*:\s*\{')
_ASK = b'"include_usage":true'


def with_usage_chunk(body: bytes, fields: Mapping[str, Any], *, asked_for: bool) -> bytes:
    """The body to send: the caller's own when it asks for the chunk already. `fields`: the body, parsed.

    Raises ApiError when the body has to be written anew and is nested too deeply for it.
    """
    if asked_for:
        return body
    options = fields.get("stream_options")
    if options is None and "stream_options" not in fields:
        return put_first(body, body.index(b"{") + 1, b'"stream_options":{' + _ASK + b"}")
    if isinstance(options, dict) and "include_usage" not in options:
        found = list(_OPTIONS.finditer(body))
        if len(found) == 1:
            edited = put_first(body, found[0].end(), _ASK)
            if orjson.loads(edited).get("stream_options", {}).get("include_usage") is True:
                return edited
    # It says null or false in so many words, or spells the key in an unusual way: written anew, with Python's
    # own parser, which keeps integers of any size.
    try:
        rewritten = json.loads(body)
        rewritten["stream_options"] = {**(options or {}), "include_usage": True}
        return json.dumps(rewritten, separators=(",", ":")).encode()
    except RecursionError:
        raise invalid_request("The request body is nested too deeply.", code="invalid_json") from None
