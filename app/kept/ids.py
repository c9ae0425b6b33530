"""Ids of responses and of their items as projects have them: the upstream's, signed for the project.

Nothing is written down about whose a response is: an id that comes back tells it itself, to every replica and
at once. The signature is HMAC-SHA-256 over project and id, keyed by the pepper, cut to 128 bits.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

MARK = "."
_PURPOSE = b"ids of what the upstream keeps"
_SIGNATURE_BYTES = 16
_ID = re.compile(r"[A-Za-z0-9]+[_-][\w.-]{8,200}")
"""What can stand for nothing else where a whole text of an answer equals it."""

RESPONSE_IDS = ("id", "previous_response_id")
ITEM_IDS = frozenset({"id", "container_id", "approval_request_id"})
"""Members of an item that name what is kept: the item itself, where its code ran, what it answers."""


class ProjectIds:
    """One project's."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes, project_id: str) -> None:
        self._keyed = hmac.new(key, project_id.encode() + b"\0", hashlib.sha256)

    def signed(self, kept_id: str) -> str:
        return f"{kept_id}{MARK}{self._signature(kept_id)}"

    def opened(self, text: object) -> str | None:
        """The upstream's id, None when the text is none that was signed for this project."""
        if not isinstance(text, str):
            return None
        kept_id, _, signature = text.rpartition(MARK)
        good = hmac.compare_digest(signature.encode(), self._signature(kept_id).encode())
        return kept_id if good else None

    def in_answer(self, body: bytes, response: Mapping[str, Any]) -> bytes:
        """The answer of an endpoint that keeps responses, with its ids signed and no other byte changed."""
        return self._replaced(body, _ids_of_response(response))

    def in_event(self, event: bytes, value: Mapping[str, Any]) -> bytes:
        """The same of an event of a stream."""
        return self._replaced(event, _ids_of_event(value))

    def _replaced(self, spelled: bytes, ids: Iterable[object]) -> bytes:
        for kept_id in {one for one in ids if isinstance(one, str)}:
            if _ID.fullmatch(kept_id):
                spelled = spelled.replace(orjson.dumps(kept_id), orjson.dumps(self.signed(kept_id)))
        return spelled

    def _signature(self, kept_id: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(kept_id.encode())
        return base64.urlsafe_b64encode(keyed.digest()[:_SIGNATURE_BYTES]).rstrip(b"=").decode()


class KeptIds:
    """Those of every project; pepper: a secret of the stack's, the same for its whole life."""

    def __init__(self, pepper: str) -> None:
        self._key = hmac.digest(pepper.encode(), _PURPOSE, hashlib.sha256)

    def of(self, project_id: str) -> ProjectIds:
        return ProjectIds(self._key, project_id)


def _ids_of_response(response: Mapping[str, Any]) -> Iterator[object]:
    yield from (response.get(name) for name in RESPONSE_IDS)
    output = response.get("output")
    for item in output if isinstance(output, list) else ():
        yield from _ids_of_item(item)


def _ids_of_event(value: Mapping[str, Any]) -> Iterator[object]:
    yield value.get("item_id")
    yield from _ids_of_item(value.get("item"))
    if isinstance(response := value.get("response"), dict):
        yield from _ids_of_response(response)


def _ids_of_item(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        yield from (item[name] for name in ITEM_IDS & item.keys())
