"""What a request refers to that the upstream keeps, found where OpenAI's API reference has it.

A member that holds a reference is written anew from what was read of it, so that both sides read the same.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app import errors
from app.endpoints import CHAT_COMPLETIONS, RESPONSES, ApiRequest
from app.endpoints.responses import TOOLS_OF_THE_CALLER
from app.kept.ids import ITEM_IDS
from app.validate import text

Opened = Callable[[object], str | None]
"""From an id as a project has it to the upstream's, None when it is not the project's."""

_HOLDERS = ("container", "environment", "input_image_mask")
"""Members of tools that run upstream; they name where code runs, and files."""


@dataclass(slots=True)
class References:
    """members: of the request, with the upstream's ids in them. files: where each file's id stands, and the
    id. any: whether the request refers to anything that is kept."""

    members: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)
    any: bool = False

    def file(self, param: str, file_id: object) -> None:
        if file_id is not None:
            self.files.append((param, text(param, file_id)))
            self.any = True


def references(request: ApiRequest, opened: Opened) -> References:
    """Raises ApiError (400, 404) for what is not the project's.

    An item that brings its content loses such an id, and nothing is looked up by it; the content is its own.
    """
    if request.endpoint is CHAT_COMPLETIONS:
        return _of_messages(request.fields["messages"])
    return _of_response(request.fields, opened) if request.endpoint is RESPONSES else References()


def _of_messages(messages: list[dict[str, Any]]) -> References:
    found = References()
    for number, message in enumerate(messages):
        for place, part in _parts(message.get("content")):
            file = part.get("file")
            if isinstance(file, dict) and "file_id" in file:
                found.file(f"messages[{number}].content{place}.file.file_id", file["file_id"])
                found.members["messages"] = messages
    return found


def _of_response(fields: Mapping[str, Any], opened: Opened) -> References:
    reading = _Reading(opened)
    if (conversation := fields.get("conversation")) is not None:
        raise errors.no_conversation(conversation)
    if (previous := fields.get("previous_response_id")) is not None:
        reading.found.members["previous_response_id"] = reading.response("previous_response_id", previous)
    options = fields.get("prompt_cache_options")
    if isinstance(options, dict) and (compared := options.get("comparison_response_id")) is not None:
        own = reading.response("prompt_cache_options.comparison_response_id", compared)
        reading.found.members["prompt_cache_options"] = {**options, "comparison_response_id": own}
    if isinstance(fields.get("input"), list):
        reading.member("input", fields["input"], reading.item)
    if fields.get("tools"):
        reading.member("tools", fields["tools"], reading.tool)
    prompt = fields.get("prompt")
    variables = prompt.get("variables") if isinstance(prompt, dict) else None
    for name, value in variables.items() if isinstance(variables, dict) else ():
        if isinstance(value, dict) and "file_id" in value:
            reading.found.file(f"prompt.variables.{name}.file_id", value["file_id"])
            reading.found.members["prompt"] = prompt
    return reading.found


class _Reading:
    """What was found so far. Methods raise ApiError."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._changed = False
        self.found = References()

    def member(self, name: str, values: list[Any], read: Callable[[str, Any], Any]) -> None:
        """Reads each of a list."""
        self._changed = False
        own = [read(f"{name}[{number}]", value) for number, value in enumerate(values)]
        if self._changed:
            self.found.members[name] = own

    def response(self, param: str, given: object) -> str:
        kept_id = self._opened(text(param, given))
        if kept_id is None:
            raise errors.no_response(str(given), param)
        self.found.any = True
        return kept_id

    def item(self, param: str, item: dict[str, Any]) -> dict[str, Any]:
        for name in ("content", "output"):
            for place, part in _parts(item.get(name)):
                self._files(f"{param}.{name}{place}", part)
        if ITEM_IDS.isdisjoint(item):
            return item
        self._changed = True
        own: dict[str, Any] = {}
        for name, value in item.items():
            if name not in ITEM_IDS:
                own[name] = value
            elif (kept_id := self._opened(value)) is not None:
                own[name] = kept_id
                self.found.any = True
            elif item.get("type") == "item_reference":
                raise errors.not_found("Item", value, f"{param}.{name}", _OWN_ITEMS)
            elif item.get("type") == "local_shell_call_output":
                # Named by it is the call that the item answers.
                own[name] = value
        return own

    def tool(self, param: str, tool: dict[str, Any]) -> dict[str, Any]:
        own = dict(tool)
        for name in _HOLDERS if tool["type"] not in TOOLS_OF_THE_CALLER else ():
            value = tool.get(name)
            if isinstance(value, str):
                own[name] = self._container(f"{param}.{name}", value)
            elif isinstance(value, dict):
                self._files(f"{param}.{name}", value)
                if value.get("container_id") is not None:
                    named = f"{param}.{name}.container_id"
                    own[name] = {**value, "container_id": self._container(named, value["container_id"])}
        return own

    def _container(self, param: str, given: object) -> str:
        self._changed = True
        kept_id = self._opened(given)
        if kept_id is None:
            raise errors.not_found("Container", given, param, _OWN_CONTAINERS)
        self.found.any = True
        return kept_id

    def _files(self, param: str, value: Mapping[str, Any]) -> None:
        several = value.get("file_ids")
        if "file_id" in value or "file_ids" in value:
            self._changed = True
            self.found.file(f"{param}.file_id", value.get("file_id"))
        for number, file_id in enumerate(several if isinstance(several, list) else ()):
            self.found.file(f"{param}.file_ids[{number}]", file_id)


def _parts(content: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each part of a content with its place in it."""
    if isinstance(content, dict):
        yield "", content
    for number, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict):
            yield f"[{number}]", part


_OWN_ITEMS = "A project refers to its own, by their ids as this gateway gave them. Send the item itself."
_OWN_CONTAINERS = 'A project uses its own, by their ids as this gateway gave them, or {"type": "auto"}.'
