"""What the one table holds, item by item, and how its attributes are spelled.

| pk | sk | What it is | gsi1pk, gsi1sk |
|---|---|---|---|
| `ORG#<organization>` | `ORG` | an organization, its limits and settings; `bootstrap_…`: see there | |
| `ORG#<organization>` | `USER#<id>` | a user, with the role owner or reader; `projects`: role there by id | |
| `ORG#<organization>` | `EMAIL#<address>` | whose address it is; of no two users | |
| `ORG#<organization>` | `AUDIT#<id>` | an entry of the audit log | |
| `ORG#<organization>` | `LEDGER` | see `app/ledger_table.py` | |
| `PROJECT#<id>` | `PROJECT` | a project, its limits and settings | `ORG#<organization>`, `PROJECT#<id>` |
| `PROJECT#<id>` | `RATE_LIMIT#<model>` | a project's limits for one model | |
| `PROJECT#<id>` | `SERVICE_ACCOUNT#<id>` | a service account; `key_hashes` of its keys | |
| `PROJECT#<id>` | `FILE#<id>`, `BATCH#<id>` | see `app/batches/records.py` | `PROJECT#<id>`, by time |
| `OPEN_BATCHES` | `<organization>#<request>` | see `app/batches/open_batch.py` | |
| `KEY#<hash>` | `KEY` | a project's API key | `PROJECT#<project>`, `KEY#<id>` |
| `ADMIN_KEY#<hash>` | `ADMIN_KEY` | an admin key of a user | `ORG#<organization>`, `ADMIN_KEY#<id>` |
| `INVITE#<hash>` | `INVITE` | an invite, by the hash of its link | `ORG#<organization>`, `INVITE#<id>` |
| `REQUEST#<id>` | `USAGE` | see `app/ledger_record.py` | by project and day |
| `SPEND#<organization>#<month>` | | see `app/ledger_record.py` | |
| `ROLLUP#<organization>#<kind>#<width>` | | see `app/ledger_rollups.py` | |

The hot path reads of a project all between `PROJECT` and `RATE_LIMIT#`, and of an organization `ORG`
(`app/table.py`), so other items of theirs sort outside of that. Lists are in the order of ids, which is that
of creation (`app/ids.py`): those of a base partition are read consistently, those of `gsi1` follow within a
moment. Settings are `spend_alerts` (`spend_alerts.py`), `data_retention` (`app/retention.py`) and a project's
`settings` (`model_permissions.py`). `expires_at` is the table's TTL: DynamoDB removes such an item some time
after. `version` counts an item's changes; each is made on the condition that the item still has the version
it was read with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
"""An item with plain values: texts, whole numbers, booleans, lists and objects of them."""


RATE_LIMIT = "RATE_LIMIT#"


@dataclass(frozen=True, slots=True)
class Address:
    """The primary key of an item."""

    pk: str
    sk: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Address":
        return cls(item["pk"], item["sk"])

    def key(self) -> dict[str, Any]:
        """As DynamoDB's requests have it."""
        return {"pk": {"S": self.pk}, "sk": {"S": self.sk}}


@dataclass(frozen=True, slots=True)
class Collection:
    """Items that are listed together: of one partition, those whose sort key begins with a prefix."""

    pk: str
    prefix: str
    index: bool = False

    @property
    def names(self) -> tuple[str, str]:
        """The attributes that are partition and sort key."""
        return ("gsi1pk", "gsi1sk") if self.index else ("pk", "sk")


def organization_address(organization_id: str) -> Address:
    return Address(f"ORG#{organization_id}", "ORG")


def user_address(organization_id: str, user_id: str) -> Address:
    return Address(f"ORG#{organization_id}", f"USER#{user_id}")


def email_address(organization_id: str, email: str) -> Address:
    return Address(f"ORG#{organization_id}", f"EMAIL#{email}")


def project_address(project_id: str) -> Address:
    return Address(f"PROJECT#{project_id}", "PROJECT")


def rate_limit_address(project_id: str, model: str) -> Address:
    return Address(f"PROJECT#{project_id}", RATE_LIMIT + model)


def service_account_address(project_id: str, account_id: str) -> Address:
    return Address(f"PROJECT#{project_id}", f"SERVICE_ACCOUNT#{account_id}")


def key_address(key_hash: str) -> Address:
    return Address(f"KEY#{key_hash}", "KEY")


def admin_key_address(key_hash: str) -> Address:
    return Address(f"ADMIN_KEY#{key_hash}", "ADMIN_KEY")


def invite_address(token_hash: str) -> Address:
    return Address(f"INVITE#{token_hash}", "INVITE")


def users(organization_id: str) -> Collection:
    return Collection(f"ORG#{organization_id}", "USER#")


def invites(organization_id: str) -> Collection:
    return Collection(f"ORG#{organization_id}", "INVITE#", index=True)


def projects(organization_id: str) -> Collection:
    return Collection(f"ORG#{organization_id}", "PROJECT#", index=True)


def admin_keys(organization_id: str) -> Collection:
    return Collection(f"ORG#{organization_id}", "ADMIN_KEY#", index=True)


def audit_log(organization_id: str) -> Collection:
    return Collection(f"ORG#{organization_id}", "AUDIT#")


def service_accounts(project_id: str) -> Collection:
    return Collection(f"PROJECT#{project_id}", "SERVICE_ACCOUNT#")


def rate_limits(project_id: str) -> Collection:
    return Collection(f"PROJECT#{project_id}", RATE_LIMIT)


def project_keys(project_id: str) -> Collection:
    return Collection(f"PROJECT#{project_id}", "KEY#", index=True)


def attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in DynamoDB's form; a value of None is left out."""
    return {name: attribute(value) for name, value in item.items() if value is not None}


def attribute(value: Any) -> dict[str, Any]:
    """A value in DynamoDB's form."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [attribute(one) for one in value]}
        case dict():
            return {"M": {name: attribute(one) for name, one in value.items()}}
        case _:
            raise TypeError(f"the table holds no {type(value).__name__}")


def plain(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """The inverse of `attributes`."""
    return {name: _value(content) for name, content in item.items()}


def _value(content: Mapping[str, Any]) -> Any:
    ((kind, value),) = content.items()
    match kind:
        case "N":
            return int(value)
        case "NULL":
            return None
        case "L":
            return [_value(one) for one in value]
        case "M":
            return plain(value)
        case _:
            return value
