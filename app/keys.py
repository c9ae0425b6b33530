"""API keys: made at random, shown once, stored only as a keyed hash.

A project's key is the table's item `KEY#<hex HMAC-SHA-256>` / `KEY`; the index `gsi1` lists those of a
project. Admin keys are made the same way and let nobody make model requests (`app/admin/items.py`).
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from app.ids import new_id
from app.limits import NO_LIMITS, Limits, limits_attributes, parse_limits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

KEY_PREFIX = "sk-gw-"
ADMIN_KEY_PREFIX = "sk-admin-gw-"
INVITE_PREFIX = "invite-gw-"
_KEY = re.compile(r"sk-gw-[A-Za-z0-9_-]{43}")
_ADMIN_KEY = re.compile(r"sk-admin-gw-[A-Za-z0-9_-]{43}")
_INVITE = re.compile(r"invite-gw-[A-Za-z0-9_-]{43}")
_SHOWN_CHARACTERS = 4

Status = Literal["active", "revoked"]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the table knows of a key; never the key itself.

    created_at, expires_at: unix seconds. limits: the key's own; without requests a minute the gateway's
    default holds. service_account_id: whose key it is.
    """

    hash: str
    id: str
    name: str
    organization_id: str
    project_id: str
    status: Status
    created_at: int
    redacted: str
    limits: Limits = NO_LIMITS
    expires_at: int | None = None
    service_account_id: str | None = None

    def lets_in(self, now: float) -> bool:
        """Whether the key is good at a moment of unix time."""
        return self.status == "active" and (self.expires_at is None or now < self.expires_at)


def looks_like_key(text: str) -> bool:
    """Whether `text` has a key's form, so that nothing else is worth a look into the table."""
    return _KEY.fullmatch(text) is not None


def looks_like_admin_key(text: str) -> bool:
    """The same of an admin key."""
    return _ADMIN_KEY.fullmatch(text) is not None


def looks_like_invite(text: str) -> bool:
    """The same of an invite's token."""
    return _INVITE.fullmatch(text) is not None


def random_key(prefix: str) -> str:
    """The text of a key: 256 random bits after its prefix."""
    return prefix + secrets.token_urlsafe(32)


def redacted(key: str) -> str:
    """What may be shown of a key after it was made."""
    return f"sk-…{key[-_SHOWN_CHARACTERS:]}"


def hash_key(pepper: str, key: str) -> str:
    """HMAC-SHA-256 in hex: without the pepper, a stolen table does not even tell whether a guess is right."""
    digest = _keyed(pepper).copy()
    digest.update(key.encode())
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _keyed(pepper: str) -> hmac.HMAC:
    # Making it anew takes twice as long as what follows.
    return hmac.new(pepper.encode(), digestmod=hashlib.sha256)


def new_key(
    pepper: str,
    *,
    organization_id: str,
    project_id: str,
    name: str,
    requests_per_minute: int | None = None,
    expires_at: int | None = None,
    service_account_id: str | None = None,
) -> tuple[str, KeyRecord]:
    """A fresh key's text, which is to be shown once and forgotten, and the record to store."""
    key = random_key(KEY_PREFIX)
    record = KeyRecord(
        hash=hash_key(pepper, key),
        id=new_id("key_"),
        name=name,
        organization_id=organization_id,
        project_id=project_id,
        status="active",
        created_at=int(time.time()),
        redacted=redacted(key),
        limits=Limits(requests_per_minute=requests_per_minute),
        expires_at=expires_at,
        service_account_id=service_account_id,
    )
    return key, record


def key_address(key_hash: str) -> dict[str, Any]:
    """The primary key of the item that holds the key with this hash."""
    return {"pk": {"S": f"KEY#{key_hash}"}, "sk": {"S": "KEY"}}


def key_item(record: KeyRecord) -> "dict[str, AttributeValueTypeDef]":
    """The record in DynamoDB's attribute form."""
    item: dict[str, AttributeValueTypeDef] = {
        **key_address(record.hash),
        "gsi1pk": {"S": f"PROJECT#{record.project_id}"},
        "gsi1sk": {"S": f"KEY#{record.id}"},
        "id": {"S": record.id},
        "name": {"S": record.name},
        "organization_id": {"S": record.organization_id},
        "project_id": {"S": record.project_id},
        "status": {"S": record.status},
        "created_at": {"N": str(record.created_at)},
        "redacted": {"S": record.redacted},
    }
    if record.expires_at is not None:
        item["expires_at"] = {"N": str(record.expires_at)}
    if record.service_account_id is not None:
        item["service_account_id"] = {"S": record.service_account_id}
    item.update(limits_attributes(record.limits))
    return item


def parse_key_item(item: Mapping[str, Mapping[str, Any]]) -> KeyRecord:
    """The inverse of `key_item`. Raises KeyError or ValueError when the item is not a key's."""
    expires_at = item.get("expires_at")
    return KeyRecord(
        hash=item["pk"]["S"].removeprefix("KEY#"),
        id=item["id"]["S"],
        name=item["name"]["S"],
        organization_id=item["organization_id"]["S"],
        project_id=item["project_id"]["S"],
        # Anything but the one word that lets a key in keeps it out.
        status="active" if item["status"]["S"] == "active" else "revoked",
        created_at=int(item["created_at"]["N"]),
        redacted=item["redacted"]["S"],
        limits=parse_limits(item),
        expires_at=int(expires_at["N"]) if expires_at else None,
        service_account_id=item.get("service_account_id", {}).get("S"),
    )
