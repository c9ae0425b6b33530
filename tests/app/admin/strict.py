"""The official SDK as a judge: whatever it is answered must be what its types say, strictly.

The SDK itself builds its objects without validation. This client validates the JSON of each answer before
that: types without coercion, every required field there, and no field that the SDK's type does not have,
except those that are declared here.
"""

from collections.abc import Iterator
from typing import Any

import openai
from pydantic import BaseModel, TypeAdapter

OURS = {
    "SyncConversationCursorPage": {"object", "first_id"},
    "SyncCursorPage": {"object", "first_id", "last_id"},
    "SyncNextCursorPage": {"object"},
    "Actor": {"ip_address", "user_agent"},
    "Invite": {"accept_url"},
    "ProjectRateLimit": {"own"},
}
"""Fields beyond the SDK's types, by the type's name; OpenAI's own lists have those of the pages."""

LOGGED = {"before", "after"}
"""Beyond the SDK's types, in each event of the audit log."""


class StrictClient(openai.OpenAI):
    """Fails with AssertionError or ValidationError on an answer that is not exactly of its type."""

    def _process_response(self, *, cast_to: Any, response: Any, **rest: Any) -> Any:
        validate(cast_to, response.json())
        return super()._process_response(cast_to=cast_to, response=response, **rest)


def validate(expected: Any, value: object) -> None:
    """Raises AssertionError or ValidationError when a JSON value is not exactly of the SDK's type."""
    parsed = TypeAdapter(expected).validate_python(value, strict=True)
    unknown = list(_unknown(parsed, ""))
    assert unknown == [], f"fields that {expected} does not have: {unknown}"


def _unknown(value: object, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _unknown(one, f"{path}[{index}]")
    elif isinstance(value, BaseModel):
        kind = type(value).__name__.partition("[")[0]
        logged = LOGGED if type(value).__module__.endswith("audit_log_list_response") else set()
        for name in value.model_extra or {}:
            if name not in OURS.get(kind, set()) | logged:
                yield f"{path}.{name}"
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
