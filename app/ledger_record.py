"""What one request used: as the outbox carries it and as the table keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Literal

import orjson

from app.prices import Shares
from app.usage import Usage

KEPT_DAYS = 400
DAY_MS = 86_400_000
COUNTED = ("micro_usd", "prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")

Outcome = Literal["answered", "broken_off", "expired"]


@dataclass(slots=True)
class UsageRecord:
    """One request that the upstream may have charged for.

    outcome: "answered"; "broken_off", by either side before its end; "expired", its replica was lost and
    what it had reserved is charged in full. estimated: the upstream gave no figures. priced: False when
    the model has no known price. replica: which one waits for word that this is in the table.
    cached_micro_usd, completion_micro_usd: what of micro_usd is for these tokens; the rest is for the
    prompt. service_tier: the one whose price holds. user_id: the key's service account, "" when it has
    none. requests: how many it stands for, one unless it is of a batch. at_ms: unix time by the cache's
    clock, 0 before it is known; its month is the one charged.
    """

    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    endpoint: str
    model: str
    replica: str
    outcome: Outcome
    prompt_tokens: int
    completion_tokens: int
    micro_usd: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cached_micro_usd: int = 0
    completion_micro_usd: int = 0
    service_tier: str = "default"
    user_id: str = ""
    estimated: bool = False
    priced: bool = True
    requests: int = 1
    at_ms: int = 0

    def encode(self) -> bytes:
        return orjson.dumps(self)

    @property
    def month(self) -> str:
        """As 2026-11, in UTC."""
        return _date(self.at_ms // DAY_MS)[:7]

    def item(self) -> orjson.Fragment:
        """The table's item, in DynamoDB's JSON; whoever writes it twice writes the same."""
        at_ms, request_id = self.at_ms, self.request_id.encode()
        beginning = _beginning_of_item(
            self.organization_id,
            self.project_id,
            self.key_id,
            self.endpoint,
            self.model,
            self.service_tier,
            self.user_id,
            self.outcome,
            self.estimated,
            self.priced,
            self.requests,
            _date(at_ms // DAY_MS),
        )
        return orjson.Fragment(
            b'%b,"pk":{"S":"REQUEST#%b"},"gsi1sk":{"S":"%013d#%b"},"request_id":{"S":"%b"},'
            b'"expires_at":{"N":"%d"},"at_ms":{"N":"%d"},"prompt_tokens":{"N":"%d"},'
            b'"completion_tokens":{"N":"%d"},"micro_usd":{"N":"%d"},"cached_tokens":{"N":"%d"},'
            b'"reasoning_tokens":{"N":"%d"},"cached_micro_usd":{"N":"%d"},'
            b'"completion_micro_usd":{"N":"%d"}}'
            % (
                *(beginning, request_id, at_ms, request_id, request_id),
                *(at_ms // 1000 + KEPT_DAYS * 86_400, at_ms, self.prompt_tokens),
                *(self.completion_tokens, self.micro_usd, self.cached_tokens),
                *(self.reasoning_tokens, self.cached_micro_usd, self.completion_micro_usd),
            )
        )


@lru_cache(maxsize=1024)
def _beginning_of_item(
    organization_id: str,
    project_id: str,
    key_id: str,
    endpoint: str,
    model: str,
    service_tier: str,
    user_id: str,
    outcome: str,
    estimated: bool,
    priced: bool,
    requests: int,
    date: str,
) -> bytes:
    """What the items of a key and model have in common on one day."""
    return orjson.dumps(
        {
            "sk": {"S": "USAGE"},
            "gsi1pk": {"S": f"USAGE#{project_id}#{date}"},
            "organization_id": {"S": organization_id},
            "project_id": {"S": project_id},
            "key_id": {"S": key_id},
            "endpoint": {"S": endpoint},
            "model": {"S": model},
            "service_tier": {"S": service_tier},
            "user_id": {"S": user_id},
            "outcome": {"S": outcome},
            "estimated": {"BOOL": estimated},
            "priced": {"BOOL": priced},
            "requests": {"N": str(requests)},
        }
    )[:-1]


@lru_cache(maxsize=8)
def _date(day: int) -> str:
    """As 2026-11-30, of a day of unix time in UTC."""
    return datetime.fromtimestamp(day * DAY_MS // 1000, UTC).date().isoformat()


@lru_cache(maxsize=1024)
def shared(
    organization_id: str,
    project_id: str,
    key_id: str,
    endpoint: str,
    model: str,
    service_tier: str,
    user_id: str,
    replica: str,
    priced: bool,
    requests: int = 1,
) -> bytes:
    """The beginning of the encoded records that have all of this in common."""
    return orjson.dumps(
        {
            "organization_id": organization_id,
            "project_id": project_id,
            "key_id": key_id,
            "endpoint": endpoint,
            "model": model,
            "service_tier": service_tier,
            "user_id": user_id,
            "replica": replica,
            "priced": priced,
            "requests": requests,
        }
    )[:-1]


def encode(
    beginning: bytes, request_id: str, outcome: Outcome, usage: Usage, micro_usd: int, shares: Shares
) -> bytes:
    """A record as `UsageRecord.encode` spells it, without having been one."""
    return (
        b'%b,"request_id":"%b","outcome":"%b","prompt_tokens":%d,"completion_tokens":%d,"micro_usd":%d,'
        b'"cached_micro_usd":%d,"completion_micro_usd":%d,'
        b'"cached_tokens":%d,"reasoning_tokens":%d,"estimated":%b}'
    ) % (
        beginning,
        request_id.encode(),
        outcome.encode(),
        usage.prompt_tokens,
        usage.completion_tokens,
        micro_usd,
        shares.cached_micro_usd,
        shares.completion_micro_usd,
        usage.cached_tokens,
        usage.reasoning_tokens,
        b"true" if usage.estimated else b"false",
    )


def decode(data: bytes, at_ms: int) -> UsageRecord:
    """The inverse of `encode`, for the moment it was settled at. Raises ValueError, TypeError."""
    told = orjson.loads(data)
    try:
        encoded = _ENCODED(told)
    except KeyError:
        # Of an earlier release, which a deployment has left beside this one.
        return UsageRecord(**{name: told[name] for name in _NAMES if name in told}, at_ms=at_ms)
    return UsageRecord(*encoded, at_ms)  # type: ignore[call-arg] # its length is unknown to mypy


_NAMES = [field.name for field in fields(UsageRecord) if field.name != "at_ms"]
_ENCODED = itemgetter(*_NAMES)


def record_address(request_id: str) -> dict[str, Any]:
    """One item a request, whatever it is told by, so that a request counts once."""
    return {"pk": {"S": f"REQUEST#{request_id}"}, "sk": {"S": "USAGE"}}


def totals_address(organization_id: str, month: str, scope: str) -> dict[str, Any]:
    """scope: ORG, PROJECT#<id> or KEY#<id>."""
    return {"pk": {"S": f"SPEND#{organization_id}#{month}"}, "sk": {"S": scope}}


def totals(records: Sequence[UsageRecord]) -> Mapping[tuple[str, str], Mapping[str, int]]:
    """What the records add to each (month, scope); last_used_at is the latest of them, in unix seconds."""
    by_key: dict[tuple[str, str, str], list[UsageRecord]] = {}
    for record in records:
        by_key.setdefault((record.month, record.project_id, record.key_id), []).append(record)
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for (month, project_id, key_id), used in by_key.items():
        latest = max(record.at_ms for record in used) // 1000
        added = [(name, sum(map(read, used))) for name, read in _COUNTED]
        requests = sum(record.requests for record in used)
        for scope in ("ORG", f"PROJECT#{project_id}", f"KEY#{key_id}"):
            total = sums.setdefault((month, scope), {"requests": 0, "last_used_at": 0, **_ZERO})
            total["requests"] += requests
            total["last_used_at"] = max(total["last_used_at"], latest)
            for name, amount in added:
                total[name] += amount
    return sums


_COUNTED = [(name, attrgetter(name)) for name in COUNTED]
_ZERO = dict.fromkeys(COUNTED, 0)
