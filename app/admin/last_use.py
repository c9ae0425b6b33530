"""When API keys were last used, from the ledger's totals of the month and of the one before."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from app.admin import items
from app.admin.layout import Address, Item
from app.admin.store import Store
from app.ledger_record import totals_address


async def last_used_at(store: Store, organization_id: str, keys: Iterable[Item]) -> dict[str, int]:
    """Unix seconds by the ids of keys; one that was not used in that time is not there.

    A use is a request that is in the ledger: not one for a list of models, or one that was refused.
    """
    found = await store.get_all(
        _totals(organization_id, month, key["id"]) for key in keys for month in _months()
    )
    used: dict[str, int] = {}
    for address, total in found.items():
        key_id = address.sk.removeprefix("KEY#")
        used[key_id] = max(used.get(key_id, 0), total["last_used_at"])
    return used


def _months() -> tuple[str, str]:
    now = datetime.fromtimestamp(items.now(), UTC)
    return f"{now:%Y-%m}", f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"


def _totals(organization_id: str, month: str, key_id: str) -> Address:
    address = totals_address(organization_id, month, f"KEY#{key_id}")
    return Address(address["pk"]["S"], address["sk"]["S"])
