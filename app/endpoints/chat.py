"""POST /v1/chat/completions. Bounds of fields are those of OpenAI's API reference."""

import re
from collections.abc import Mapping
from typing import Any

from app.endpoints.addresses import has_address
from app.endpoints.bounds import parts_tokens, text_bound_tokens
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.errors import invalid_request
from app.sse import CompletionStream, EventStream
from app.usage_chunk import with_usage_chunk
from app.validate import (
    I64,
    Check,
    array,
    boolean,
    check_fields,
    integer,
    json_dict,
    missing,
    model_name,
    number,
    require_model,
    stop,
    stream_options,
    text,
    wants_usage_chunk,
    wrong_type,
    wrong_value,
)

MAX_MESSAGES = 4096

_SEARCHING = re.compile(r"gpt-[^:]*-search-(?:preview|api)\b", re.IGNORECASE)
"""Models that search the web for each answer, for a fee a call (OpenAI, "Pricing")."""


class ChatCompletions(Endpoint):
    path = "/chat/completions"
    answer_tokens_fields = ("max_completion_tokens", "max_tokens")
    takes_stop = True

    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        check_fields(fields, _FIELDS)
        require_model(fields)
        if fields.get("messages") is None:
            raise missing("messages", "a list of one message or more")
        stream = fields.get("stream") is True
        answers = int(fields.get("n") or 1)
        unbounded = self.unbounded_param_of(fields)
        return ApiRequest(
            endpoint=self,
            body=body,
            fields=fields,
            model=fields["model"],
            stream=stream,
            include_usage=wants_usage_chunk(fields, stream=stream),
            prompt_bound_tokens=None if unbounded else _prompt_bound_tokens(body, fields),
            answers=answers,
            answer_bound_tokens=_answer_bound_tokens(fields, answers),
            unbounded_param=unbounded,
        )

    def unbounded_param_of(self, fields: Mapping[str, Any]) -> str | None:
        if fields.get("web_search_options") is not None:
            return "web_search_options"
        return "model" if _SEARCHING.match(fields["model"]) else None

    def is_complete(self, answer: Mapping[str, object]) -> bool:
        return "error" not in answer and bool(answer.get("choices"))

    def is_repeatable(self, request: ApiRequest) -> bool:
        fields = request.fields
        asked_for = fields.get("temperature") == 0 or fields.get("seed") is not None
        return asked_for and self.is_pure(request)

    def is_pure(self, request: ApiRequest) -> bool:
        fields = request.fields
        return (
            not fields.get("store")
            and request.unbounded_param is None
            and not any(has_address(message.get("content")) for message in fields["messages"])
        )

    def is_kept(self, request: ApiRequest) -> bool:
        # What the model said before is kept upstream; the request has its id.
        return any(message.get("audio") is not None for message in request.fields["messages"])

    def body_for_stream(self, request: ApiRequest) -> bytes:
        return with_usage_chunk(request.body, request.fields, asked_for=request.include_usage)

    def events(self, request: ApiRequest) -> EventStream:
        return CompletionStream(strip_usage=not request.include_usage)


CHAT_COMPLETIONS = ChatCompletions()


def _prompt_bound_tokens(body: bytes, fields: Mapping[str, Any]) -> int | None:
    messages = fields["messages"]
    with_tools = bool(fields.get("tools") or fields.get("functions"))
    bound = text_bound_tokens(body, len(messages), with_tools=with_tools)
    for message in messages:
        if message.get("audio") is not None:
            # An earlier answer that was spoken, by its id.
            return None
        content = message.get("content")
        if isinstance(content, list):
            added = parts_tokens(content)
            if added is None:
                return None
            bound += added
    return bound


def _answer_bound_tokens(fields: Mapping[str, Any], answers: int) -> int | None:
    asked = [int(most) for name in ("max_completion_tokens", "max_tokens") if (most := fields.get(name))]
    if not asked:
        return None
    # Rejected tokens of a predicted output are charged like those of the answer.
    predicted = fields.get("prediction")
    return answers * (max(asked) + (len(str(predicted).encode()) if predicted else 0))


def _messages(param: str, value: object) -> None:
    messages = array(param, value)
    if not messages:
        raise invalid_request(f"{param} is empty. Send one message or more.", param=param, code="empty_array")
    if len(messages) > MAX_MESSAGES:
        raise wrong_value(param, f"must be {MAX_MESSAGES} messages or fewer")
    for index, message in enumerate(messages):
        _message(f"{param}[{index}]", message)


def _message(param: str, value: object) -> None:
    message = json_dict(param, value)
    role = message.get("role")
    if role is None:
        raise missing(f"{param}.role", "the author: developer, system, user, assistant or tool")
    text(f"{param}.role", role)
    content = message.get("content")
    if content is None:
        # Only the model's own turns may consist of something other than content, such as tool calls.
        if role not in ("assistant", "function"):
            raise missing(f"{param}.content", "a text or an array of content parts")
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if json_dict(f"{param}.content[{index}]", part).get("type") is None:
                raise missing(f"{param}.content[{index}].type", "the kind of the part, for example text")
            text(f"{param}.content[{index}].type", part["type"])
    elif not isinstance(content, str):
        raise wrong_type(f"{param}.content", content, "a string or an array of content parts")


_FIELDS: dict[str, Check] = {
    "model": model_name,
    "messages": _messages,
    "stream": boolean,
    "stream_options": stream_options,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "n": integer(1, 128),
    "max_tokens": integer(1, I64 - 1),
    "max_completion_tokens": integer(1, I64 - 1),
    "top_logprobs": integer(0, 20),
    "seed": integer(-I64, I64 - 1),
    "logprobs": boolean,
    "store": boolean,
    "service_tier": text,
    "stop": stop,
    "user": text,
    "safety_identifier": text,
    "metadata": json_dict,
    "logit_bias": json_dict,
    "response_format": json_dict,
    "tools": array,
}
