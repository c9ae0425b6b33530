"""What was used by the minute, hour and day: sums of the ledger's records, written in their transactions.

Items: `ROLLUP#<organization>#<kind>#<width>` / `<unix start, 11 digits>#<digest>`, one for each project,
user, key, model and service tier in each bucket, batches apart. `dimensions` names them, as a JSON list, and
the digest is of that. A record counts in three, one a width, and only when its own item is new, so the sums
are those of the records however often it is told. Money is summed by the day alone, as it is asked for.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import add, attrgetter
from typing import Literal, NamedTuple

import orjson

from app.ledger_record import UsageRecord

Width = Literal["1m", "1h", "1d"]
Kind = Literal["completions", "embeddings", "moderations", "other"]

WIDTHS: dict[Width, int] = {"1m": 60, "1h": 3600, "1d": 86_400}
"""Seconds; buckets begin at multiples of them in unix time, which is UTC."""

KEPT_DAYS: dict[Width, int] = {"1m": 31, "1h": 400, "1d": 400}
MINUTE_MS = 60_000

KINDS: dict[str, Kind] = {
    "/chat/completions": "completions",
    "/completions": "completions",
    "/responses": "completions",
    "/embeddings": "embeddings",
    "/moderations": "moderations",
}
"""Of endpoints, as OpenAI's usage has them."""

BATCHES = "/batches"
"""What a record of a batch has before its endpoint."""

TOKENS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens")
MONEY = ("micro_usd", "cached_micro_usd", "completion_micro_usd")
COUNTED: dict[Width, tuple[str, ...]] = {"1m": TOKENS, "1h": TOKENS, "1d": (*TOKENS, *MONEY)}
Sums = tuple[int, ...]
"""In the order of TOKENS and MONEY."""


class Dimensions(NamedTuple):
    """What a rollup is of. user_id: the service account's, "" for a key without one. batch: of batches."""

    project_id: str
    user_id: str
    key_id: str
    model: str
    service_tier: str
    batch: bool = False


class Bucket(NamedTuple):
    """A rollup's place. start: unix seconds."""

    kind: Kind
    width: Width
    start: int
    dimensions: Dimensions


Minute = tuple[int, tuple[str, ...]]
"""Of unix time, with the endpoint and the dimensions; all records of one add to the same three rollups."""


def minute_of(record: UsageRecord) -> Minute:
    return record.at_ms // MINUTE_MS, _used_of(record)


_used_of = attrgetter("endpoint", *(name for name in Dimensions._fields if name != "batch"))


def buckets_of(minute: Minute) -> list[Bucket]:
    number, (told, *of) = minute
    endpoint = told.removeprefix(BATCHES)
    kind, dimensions = KINDS.get(endpoint, "other"), Dimensions._make((*of, endpoint != told))
    return [
        Bucket(kind, width, number * 60 // width_s * width_s, dimensions) for width, width_s in WIDTHS.items()
    ]


def rollups(records: Sequence[UsageRecord]) -> Mapping[Bucket, Sums]:
    """What the records add to each rollup."""
    by_minute: dict[Minute, list[UsageRecord]] = {}
    for record in records:
        by_minute.setdefault(minute_of(record), []).append(record)
    sums: dict[Bucket, Sums] = {}
    for minute, used in by_minute.items():
        added = tuple(map(sum, zip(*map(_counted, used), strict=True)))
        for bucket in buckets_of(minute):
            known = sums.get(bucket)
            sums[bucket] = added if known is None else tuple(map(add, known, added))
    return sums


def partition(organization_id: str, kind: Kind, width: Width) -> str:
    return f"ROLLUP#{organization_id}#{kind}#{width}"


def sort_key(start: int, digest: str = "") -> str:
    return f"{start:011}#{digest}"


def rollup_update(table_name: str, organization_id: str, bucket: Bucket, sums: Sums) -> orjson.Fragment:
    """What a transaction's `Update` is, in DynamoDB's JSON."""
    kind, width, start, dimensions = bucket
    beginning, pk, digest = _spelled(table_name, organization_id, kind, width, dimensions)
    kept_until = start + KEPT_DAYS[width] * 86_400
    amounts = sums[: len(COUNTED[width])]
    return orjson.Fragment(_UPDATES[width] % (beginning, kept_until, *amounts, start, digest, pk))


_counted = attrgetter(*TOKENS, *MONEY)
_UPDATES = {
    width: b'%b,":expires_at":{"N":"%d"},'
    + b",".join(b'":%b":{"N":"%%d"}' % name.encode() for name in counted)
    + b'},"Key":{"sk":{"S":"%011d#%b"},"pk":{"S":%b}}}'
    for width, counted in COUNTED.items()
}


@lru_cache(maxsize=4096)
def _spelled(
    table_name: str, organization_id: str, kind: Kind, width: Width, dimensions: Dimensions
) -> tuple[bytes, bytes, bytes]:
    """What the updates of a rollup have in common: their beginning, partition key and digest.

    A sort key that named the dimensions could be too long for DynamoDB.
    """
    text = orjson.dumps(list(dimensions) if dimensions.batch else dimensions[:-1])
    added = ", ".join(f"{name} :{name}" for name in COUNTED[width])
    update = {
        "TableName": table_name,
        "UpdateExpression": f"SET dimensions = :dimensions, expires_at = :expires_at ADD {added}",
        "ExpressionAttributeValues": {":dimensions": {"S": text.decode()}},
    }
    pk = orjson.dumps(partition(organization_id, kind, width))
    return orjson.dumps(update)[:-2], pk, hashlib.sha256(text).hexdigest()[:32].encode()


def dimensions_of(text: str) -> Dimensions:
    """Those of an item's attribute."""
    return Dimensions(*orjson.loads(text))
