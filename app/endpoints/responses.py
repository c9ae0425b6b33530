"""POST /v1/responses. Bounds of fields are those of OpenAI's API reference.

A response can rest on texts that are kept upstream (an earlier response, a conversation, a prompt, a file)
and on tools that run there; such a request says that its cost has no bound of its own.
"""

from collections.abc import Mapping
from typing import Any

from app.endpoints.addresses import has_address
from app.endpoints.bounds import parts_tokens, text_bound_tokens
from app.endpoints.endpoint import ApiRequest, Endpoint
from app.errors import invalid_request
from app.sse import EventStream, ResponseStream
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
    text,
    wrong_type,
    wrong_value,
)

MAX_ITEMS = 4096

_CALLS = ("function", "custom_tool", "computer", "local_shell", "shell", "apply_patch")
_WHOLE = frozenset((None, "message", *(f"{one}_call{end}" for one in _CALLS for end in ("", "_output"))))
"""Items that bring their content, whatever their id."""

_KEPT_UPSTREAM = ("previous_response_id", "conversation", "prompt")
TOOLS_OF_THE_CALLER = frozenset(
    ("function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview")
)


class Responses(Endpoint):
    path = "/responses"
    answer_tokens_fields = ("max_output_tokens",)

    def build(self, body: bytes, fields: dict[str, Any]) -> ApiRequest:
        check_fields(fields, _FIELDS)
        require_model(fields)
        if fields.get("input") is None and all(fields.get(name) is None for name in _KEPT_UPSTREAM):
            raise missing("input", "a text or a list of items")
        if fields.get("background"):
            raise invalid_request(
                "background responses are not offered here, as nobody could fetch or account for them. "
                "Leave background out; a stream stays open as long as it takes.",
                param="background",
                code="unsupported_value",
            )
        stream = fields.get("stream") is True
        if fields.get("stream_options") is not None and not stream:
            raise invalid_request(
                "stream_options is only for streams. Set stream to true or leave it out.",
                param="stream_options",
                code="invalid_value",
            )
        most = fields.get("max_output_tokens")
        unbounded = self.unbounded_param_of(fields)
        return ApiRequest(
            endpoint=self,
            body=body,
            fields=fields,
            model=fields["model"],
            stream=stream,
            include_usage=True,
            prompt_bound_tokens=None if unbounded else _prompt_bound_tokens(body, fields),
            answers=1,
            answer_bound_tokens=None if most is None else int(most),
            unbounded_param=unbounded,
        )

    def unbounded_param_of(self, fields: Mapping[str, Any]) -> str | None:
        for index, tool in enumerate(fields.get("tools") or ()):
            if tool.get("type") not in TOOLS_OF_THE_CALLER:
                return f"tools[{index}]"
        # A prompt that is kept upstream brings tools of its own.
        return next((name for name in ("prompt", "context_management") if fields.get(name)), None)

    def is_complete(self, answer: Mapping[str, object]) -> bool:
        return answer.get("status") == "completed" and answer.get("error") is None

    def is_repeatable(self, request: ApiRequest) -> bool:
        return request.fields.get("temperature") == 0 and self.is_pure(request)

    def is_pure(self, request: ApiRequest) -> bool:
        fields = request.fields
        # A response is stored upstream unless the request says otherwise, which is a side effect.
        return (
            fields.get("store") is False
            and fields.get("conversation") is None
            and request.unbounded_param is None
            and not any(
                has_address(item.get("content")) or has_address(item.get("output")) for item in _items(fields)
            )
        )

    def is_kept(self, request: ApiRequest) -> bool:
        # Without a bound it rests on what is kept, runs there, or can be read by that account alone.
        return request.fields.get("store") is not False or request.prompt_bound_tokens is None

    def events(self, request: ApiRequest) -> EventStream:  # noqa: ARG002
        return ResponseStream()


RESPONSES = Responses()


def _prompt_bound_tokens(body: bytes, fields: Mapping[str, Any]) -> int | None:
    if any(fields.get(name) is not None for name in _KEPT_UPSTREAM):
        return None
    items = _items(fields)
    bound = text_bound_tokens(body, 1 + len(items), with_tools=bool(fields.get("tools")))
    for item in items:
        # What is encrypted, compacted or known by its id may unfold to more than its bytes.
        named = item.get("id") is not None and item.get("type") not in _WHOLE
        if named or item.get("type") == "compaction" or item.get("encrypted_content") is not None:
            return None
        for parts in (item.get("content"), item.get("output")):
            added = parts_tokens([parts] if isinstance(parts, dict) else parts)
            if added is None:
                return None
            bound += added
    return bound


def _items(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the input consists of, nothing when it is one text."""
    asked = fields.get("input")
    return asked if isinstance(asked, list) else []


def _input(param: str, value: object) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise wrong_type(param, value, "a string or an array of items")
    if not value:
        raise invalid_request(f"{param} is empty. Send one item or more.", param=param, code="empty_array")
    if len(value) > MAX_ITEMS:
        raise wrong_value(param, f"must be {MAX_ITEMS} items or fewer")
    for index, item in enumerate(value):
        _item(f"{param}[{index}]", item)


def _item(param: str, value: object) -> None:
    item = json_dict(param, value)
    kind = item.get("type")
    if kind is not None:
        text(f"{param}.type", kind)
    if kind in (None, "message"):
        role = item.get("role")
        if role is None:
            raise missing(f"{param}.role", "the author: developer, system, user or assistant")
        text(f"{param}.role", role)
        content = item.get("content")
        if content is None:
            raise missing(f"{param}.content", "a text or an array of content parts")
        if not isinstance(content, str | list):
            raise wrong_type(f"{param}.content", content, "a string or an array of content parts")
        if isinstance(content, list):
            for index, part in enumerate(content):
                named = f"{param}.content[{index}]"
                if json_dict(named, part).get("type") is None:
                    raise missing(f"{named}.type", "the kind of the part, for example input_text")
                text(f"{named}.type", part["type"])


def _tools(param: str, value: object) -> None:
    for index, tool in enumerate(array(param, value)):
        if json_dict(f"{param}[{index}]", tool).get("type") is None:
            raise missing(f"{param}[{index}].type", "the kind of the tool, for example function")
        text(f"{param}[{index}].type", tool["type"])


_FIELDS: dict[str, Check] = {
    "model": model_name,
    "input": _input,
    "instructions": text,
    "stream": boolean,
    "stream_options": json_dict,
    "background": boolean,
    "store": boolean,
    "service_tier": text,
    "parallel_tool_calls": boolean,
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "top_logprobs": integer(0, 20),
    "max_output_tokens": integer(1, I64 - 1),
    "max_tool_calls": integer(1, I64 - 1),
    "previous_response_id": text,
    "prompt": json_dict,
    "reasoning": json_dict,
    "text": json_dict,
    "metadata": json_dict,
    "include": array,
    "tools": _tools,
    "user": text,
    "safety_identifier": text,
    "prompt_cache_key": text,
}
