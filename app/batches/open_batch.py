"""A batch whose money is held: what it takes to settle it, and to hold it again, from the table alone.

Items: `OPEN_BATCHES` / `<organization>#<request id>`, from before the upstream is asked for the batch until
the usage of it is in the ledger.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from app.admin.layout import Address, Collection, Item

PARTITION = "OPEN_BATCHES"
FIRST, LAST = " ", "\U0010ffff"
"""Below and above every sort key; DynamoDB takes no empty one."""


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """request_id: of the request that made it, under which it is held and recorded. endpoint: without /v1.

    requests: how many lines. expired: the usage record, encoded, of a batch that nobody settles before
    held_until_ms (unix time), which is charged in full. price: as `app/prices.py` spells it, "" when the
    model has none. created_at: unix seconds. batch_id: the upstream's, "" until it has told it. ended:
    its usage is known; record: that, encoded, "" when it used nothing; micro_usd: the money of it.
    """

    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    user_id: str
    endpoint: str
    model: str
    requests: int
    held_micro_usd: int
    held_until_ms: int
    expired: str
    price: str
    created_at: int
    batch_id: str = ""
    ended: bool = False
    record: str = ""
    micro_usd: int = 0

    @property
    def address(self) -> Address:
        return address(self.organization_id, self.request_id)

    def item(self) -> Item:
        return {"pk": self.address.pk, "sk": self.address.sk, **asdict(self)}


def address(organization_id: str, request_id: str) -> Address:
    return Address(PARTITION, f"{organization_id}#{request_id}")


def open_batch(item: Mapping[str, Any]) -> OpenBatch:
    """The inverse of `OpenBatch.item`."""
    return OpenBatch(**{field.name: item[field.name] for field in fields(OpenBatch) if field.name in item})


def all_open(organization_id: str | None = None) -> Collection:
    """Those of an organization, or of all."""
    return Collection(PARTITION, "" if organization_id is None else f"{organization_id}#")
