"""What the way of a request needs to know of an endpoint, and of a request to it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from app.body import json_object
from app.members import with_members
from app.sse import EventStream
from app.usage import Usage, parse_usage


@dataclass(slots=True)
class Chain:
    """The models that may answer a request, tried in this order, and how far that has come.

    alias: the name that stands for them in the request. first_byte_within_s: how long each but the last may
    take to begin its answer, None: as long as the request. answering: the one that was asked last. given_up:
    those that were too slow, each with the seconds it had; they may be charged for.
    """

    alias: str
    models: tuple[str, ...]
    first_byte_within_s: float | None
    answering: str
    given_up: tuple[tuple[str, float], ...] = ()

    @property
    def following(self) -> tuple[str, ...]:
        """Who is left to ask."""
        return self.models[self.models.index(self.answering) + 1 :]


@dataclass(slots=True)
class ApiRequest:
    """A request that is fit to be forwarded.

    body: as the caller sent it, byte for byte, but for what the caller's project sets. fields: the same,
    parsed. include_usage: the caller wants a stream's usage chunk. prompt_bound_tokens: the upstream will not
    count more, None when only the model's context bounds them (the request refers to texts that are not in
    it). answers: how many the model gives. answer_bound_tokens: the most that all answers together can have,
    None when only the model bounds them. unbounded_param: the field that lets the upstream do work of an
    amount nobody knows before (tools that it runs itself, a model that searches), None when there is none.
    chain: None when the caller named the one model that may answer. kept: it rests on what one account
    upstream keeps, or has it keep something.
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
    chain: Chain | None = None
    kept: bool = False

    @property
    def answering(self) -> str:
        """The model that was asked last."""
        return self.model if self.chain is None else self.chain.answering

    def answered_by(self, chain: Chain) -> "ApiRequest":
        """The request to the chain's first model, with the others that may answer."""
        return replace(self.changed(model=chain.answering), chain=chain)

    def changed(self, **members: object) -> "ApiRequest":
        """The request with these fields, and what follows from them. Raises ApiError (400)."""
        body = with_members(self.body, self.fields, members)
        return replace(self.endpoint.build(body, {**self.fields, **members}), chain=self.chain)

    def rewritten(self, members: Mapping[str, object]) -> "ApiRequest":
        """The same, and these members spelled anew even where their values stay."""
        body = with_members(self.body, {**self.fields, **dict.fromkeys(members)}, members)
        return replace(self.endpoint.build(body, {**self.fields, **members}), chain=self.chain)


class Endpoint(ABC):
    """An endpoint of OpenAI's API. `path` is relative to the base URL, which ends in /v1 on both sides.

    answer_tokens_fields: what bounds the tokens of an answer, the one to use first; none if none is written.
    unasked_answer_tokens: how many an answer has that nothing bounds, None: as many as the model writes.
    takes_stop: whether it knows stop sequences. takes_fallbacks: whether an answer of another model may take
    an answer's place.
    """

    path: ClassVar[str]
    answer_tokens_fields: ClassVar[tuple[str, ...]] = ()
    unasked_answer_tokens: ClassVar[int | None] = None
    takes_stop: ClassVar[bool] = False
    takes_fallbacks: ClassVar[bool] = True

    def parse(self, body: bytes, default_model: str | None = None) -> ApiRequest:
        """Raises ApiError (400) that names the first field that is wrong."""
        fields = json_object(body)
        if default_model is not None and fields.get("model") is None:
            body = with_members(body, fields, {"model": default_model})
            fields["model"] = default_model
        return self.build(body, fields)

    @abstractmethod
    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        """`fields`: the body, parsed. Raises ApiError (400) that names the first field that is wrong."""

    def unbounded_param_of(self, fields: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """See `ApiRequest.unbounded_param`; `fields`: checked ones."""
        return None

    @abstractmethod
    def is_complete(self, answer: Mapping[str, object]) -> bool:
        """Whether an answer of status 200 is whole and successful."""

    @abstractmethod
    def is_repeatable(self, request: ApiRequest) -> bool:
        """Whether the caller asked for an answer that may be the same each time, and for no side effect."""

    def is_pure(self, request: ApiRequest) -> bool:
        """Whether an answer that was given before can stand for a new one: no side effect, and nothing that
        the request does not hold decides about it."""
        return self.is_repeatable(request)

    def is_kept(self, request: ApiRequest) -> bool:  # noqa: ARG002
        """Whether one account upstream is to keep something of the request, or holds what it rests on."""
        return False

    def inputs_of(self, request: ApiRequest) -> Sequence[object] | None:  # noqa: ARG002
        """The inputs, when each has an answer that is the same alone and among others; None otherwise."""
        return None

    def usage_of(self, answer: Mapping[str, object]) -> Usage | None:
        """What an answer says of its tokens."""
        return parse_usage(answer.get("usage"))

    def body_for_stream(self, request: ApiRequest) -> bytes:
        """What is sent for a stream that is to tell its usage."""
        return request.body

    def events(self, request: ApiRequest) -> EventStream:
        """Follows the stream that answers a request; only requests with `stream` have one."""
        raise RuntimeError(f"{request.endpoint.path} does not stream")
