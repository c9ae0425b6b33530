"""What the way of a request needs to know of an endpoint, and of a request to it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from app.sse import EventStream
from app.usage import Usage, parse_usage


@dataclass(slots=True)
class ApiRequest:
    """A request that is fit to be forwarded.

    body: as the caller sent it, byte for byte. fields: the same, parsed. include_usage: the caller wants a
    stream's usage chunk. prompt_bound_tokens: the upstream will not count more, None when only the model's
    context bounds them (the request refers to texts that are not in it). answers: how many the model gives.
    answer_bound_tokens: the most that all answers together can have, None when only the model bounds them.
    unbounded_param: the field that lets the upstream do work of an amount nobody knows before (tools that it
    runs itself), None when there is none.
    """

    endpoint: "Endpoint"
    body: bytes
    fields: dict[str, Any]
    model: str
    stream: bool
    include_usage: bool
    prompt_bound_tokens: int | None
    answers: int
    answer_bound_tokens: int | None
    unbounded_param: str | None = None


class Endpoint(ABC):
    """An endpoint of OpenAI's API. `path` is relative to the base URL, which ends in /v1 on both sides."""

    path: ClassVar[str]

    @abstractmethod
    def parse(self, body: bytes) -> ApiRequest:
        """Raises ApiError (400) that names the first field that is wrong."""

    @abstractmethod
    def is_complete(self, answer: Mapping[str, object]) -> bool:
        """Whether an answer of status 200 is whole and successful."""

    @abstractmethod
    def is_repeatable(self, request: ApiRequest) -> bool:
        """Whether the caller asked for an answer that may be the same each time, and for no side effect."""

    def usage_of(self, answer: Mapping[str, object]) -> Usage | None:
        """What an answer says of its tokens."""
        return parse_usage(answer.get("usage"))

    def body_for_stream(self, request: ApiRequest) -> bytes:
        """What is sent for a stream that is to tell its usage."""
        return request.body

    def events(self, request: ApiRequest) -> EventStream:
        """Follows the stream that answers a request; only requests with `stream` have one."""
        raise RuntimeError(f"{request.endpoint.path} does not stream")
