"""LiteLLM's proxy as a peer: from a virtual environment of its own, never a dependency of this project.

python -m venv /tmp/litellm && /tmp/litellm/bin/pip install 'litellm[proxy]'
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.upstream import MODEL
from tests.servers import ValkeyServer, accepts, free_port, until

KEY = "sk-litellm-benchmark"
READY_WITHIN_S = 120.0


@contextmanager
def proxy(
    venv: Path, upstream_url: str, stream_url: str, cache: ValkeyServer | None = None
) -> Iterator[tuple[str, int]]:
    """The base URL and the process id of one worker with a key to check and, when there is one, a cache.

    Model MODEL goes to upstream_url, MODEL-stream to stream_url.
    """
    port = free_port()
    models = {MODEL: upstream_url, f"{MODEL}-stream": stream_url}
    config: dict[str, Any] = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {"model": f"openai/{MODEL}", "api_base": url, "api_key": "sk-upstream"},
            }
            for name, url in models.items()
        ],
        "general_settings": {"master_key": KEY},
    }
    if cache is not None:
        kept_in = {"type": "redis", "host": "127.0.0.1", "port": cache.port, "ttl": 3600}
        user = {"username": cache.username, "password": cache.password}
        config["litellm_settings"] = {"cache": True, "cache_params": {**kept_in, **user}}
    with TemporaryDirectory() as folder:
        # JSON is YAML.
        path = Path(folder, "config.yaml")
        path.write_text(json.dumps(config))
        process = subprocess.Popen(
            [
                *(str(venv / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1"),
                *("--port", str(port), "--num_workers", "1", "--telemetry", "False"),
            ],
            cwd=folder,
            env={
                "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_LOG": "ERROR",
                "LITELLM_MODE": "PRODUCTION",
                "HOME": folder,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: accepts(port) or process.poll() is not None, READY_WITHIN_S, "LiteLLM")
            if process.poll() is not None:
                raise RuntimeError(f"LiteLLM ended with {process.returncode}")
            yield f"http://127.0.0.1:{port}/v1", _listener(process.pid, port)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listener(pid: int, port: int) -> int:
    """Which process serves: the one started, or a child of it."""
    root = psutil.Process(pid)
    for process in (*root.children(recursive=True), root):
        if any(c.status == "LISTEN" and c.laddr.port == port for c in process.net_connections("tcp")):
            return process.pid
    return pid
