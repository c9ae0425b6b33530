"""Every administration call of the official SDK, by making each once against a transport that notes it."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import httpx2
import openai


@dataclass(frozen=True)
class SdkCall:
    """name: dotted, below `client.admin.organization`. path: below /v1, with a {name} for each id."""

    name: str
    method: str
    path: str


def sdk_calls() -> list[SdkCall]:
    noted: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        noted.append(request)
        return httpx2.Response(200, json={"data": []})

    client = openai.OpenAI(
        api_key="none",
        admin_api_key="none",
        base_url="http://sdk/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    calls = []
    for name, method in _methods(client.admin.organization, ""):
        # One that can be called in several ways says in none of its defaults what it needs.
        every = hasattr(method, "__wrapped__")
        given = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if (every and not parameter.name.startswith(("extra_", "timeout")))
            or parameter.default is inspect.Parameter.empty
        ]
        method(**{one: f"{{{one}}}" for one in given})
        path = unquote(noted[-1].url.raw_path.decode().partition("?")[0]).removeprefix("/v1")
        calls.append(SdkCall(name, noted[-1].method, path))
    assert len(noted) == len(calls)
    return calls


def _methods(resource: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, kind in inspect.getmembers_static(type(resource)):
        if name.startswith(("_", "with_")):
            continue
        if isinstance(kind, cached_property):
            yield from _methods(getattr(resource, name), f"{prefix}{name}.")
        elif inspect.isfunction(kind):
            yield prefix + name, getattr(resource, name)
