"""The way to the Administration API: the official SDK's client, which repeats what is worth repeating.

Calls go by their paths, because the organization and a project have the same ones below different roots.
"""

from collections.abc import Iterator
from typing import Any

import openai

PAGE = 100
TIMEOUT_S = 30.0
NOT_HERE = ("not_offered", "unknown_url")
_ADMIN: Any = {"security": {"admin_api_key_auth": True}}


class RefusedError(Exception):
    """What the API refused or did not answer; the text is fit for people."""


class ForbiddenError(RefusedError):
    """What the holder of the key may not do."""


class Door:
    """Each method raises RefusedError. Paths are those below /v1."""

    def __init__(self, base_url: str, admin_key: str) -> None:
        self.admin_key = admin_key
        self._client = openai.OpenAI(
            base_url=base_url,
            # The SDK would send OPENAI_API_KEY first where there is one.
            api_key="",
            admin_api_key=admin_key,
            max_retries=3,
            timeout=TIMEOUT_S,
        )

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._ask("GET", path, query=query)

    def find(self, path: str) -> dict[str, Any] | None:
        """What is at a path, None when the API knows the path and there is nothing."""
        return self._ask("GET", path, absent="not_found") or None

    def offers(self, path: str) -> bool:
        """Whether the API knows a path. One with an id that cannot be tells without asking for anything."""
        try:
            self._client.get(path, cast_to=dict[str, Any], options=_ADMIN)
        except openai.NotFoundError as error:
            return error.code not in NOT_HERE
        except openai.OpenAIError as error:
            raise RefusedError(_told(error)) from None
        return True

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every object of a list."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, limit=PAGE, **query, **after)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"after": page["data"][-1]["id"]}

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._ask("POST", path, body=body)

    def delete(self, path: str) -> None:
        """Gone already is as good."""
        self._ask("DELETE", path, absent="not_found")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        absent: str | None = None,
    ) -> dict[str, Any]:
        options: Any = {**_ADMIN, "params": query or {}}
        kind = dict[str, Any]
        try:
            match method:
                case "GET":
                    return self._client.get(path, cast_to=kind, options=options)
                case "POST":
                    return self._client.post(path, cast_to=kind, body=body, options=options)
                case _:
                    return self._client.delete(path, cast_to=kind, options=options)
        except openai.NotFoundError as error:
            if absent is not None and error.code == absent:
                return {}
            raise RefusedError(_told(error)) from None
        except openai.PermissionDeniedError as error:
            raise ForbiddenError(_told(error)) from None
        except openai.OpenAIError as error:
            raise RefusedError(_told(error)) from None


def _told(error: openai.OpenAIError) -> str:
    if isinstance(error, openai.APIStatusError):
        said = error.body.get("message") if isinstance(error.body, dict) else None
        return str(said or f"the API answered {error.status_code}")
    if isinstance(error, openai.APIConnectionError):
        return f"the API cannot be reached at {error.request.url.copy_with(path='/')}. Check OPENAI_BASE_URL."
    return str(error)
