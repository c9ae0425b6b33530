"""Limits and budgets as the table records them, on keys, projects, organizations and a project's models.

An attribute that is missing sets no limit. Read by `app/identity.py` every few seconds, so a change is in
force everywhere within five.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MOST = 100_000_000_000
"""The largest limit: with it the arithmetic of `admission.lua` stays exact."""

MOST_MICRO_USD = 1_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one owner. burst_*: what fits at once beyond the limit of a minute. None: no limit.

    spend_limit_micro_usd: hard, for a calendar month in UTC. spend_alerts_micro_usd: who passes one of these
    in a month is told so; the table has them as the list `spend_alerts` of objects, each with `id`,
    `threshold_micro_usd`, `recipients` (e-mail addresses) and perhaps `subject_prefix`.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    concurrent_requests: int | None = None
    burst_requests: int = 0
    burst_tokens: int = 0
    spend_limit_micro_usd: int | None = None
    spend_alerts_micro_usd: tuple[int, ...] = ()


NO_LIMITS = Limits()

_NUMBERS = [field.name for field in fields(Limits) if field.name != "spend_alerts_micro_usd"]


def parse_limits(item: Mapping[str, Mapping[str, Any]]) -> Limits:
    """The limits in an item of the table. Raises ValueError when one is not a number in its range."""
    numbers: dict[str, int] = {}
    for name in _NUMBERS:
        if name in item:
            least = 1 if name.endswith(("_minute", "_day", "requests")) and "burst" not in name else 0
            most = MOST_MICRO_USD if name.endswith("micro_usd") else MOST
            number = int(item[name]["N"])
            if not least <= number <= most:
                raise ValueError(f"{name} is {number}, not between {least} and {most}")
            numbers[name] = number
    if numbers.get("burst_requests", 0) + (numbers.get("requests_per_minute") or 0) > MOST:
        raise ValueError(f"burst_requests and requests_per_minute together are above {MOST}")
    if numbers.get("burst_tokens", 0) + (numbers.get("tokens_per_minute") or 0) > MOST:
        raise ValueError(f"burst_tokens and tokens_per_minute together are above {MOST}")
    alerts = item.get("spend_alerts", {}).get("L", ())
    amounts = {int(alert["M"]["threshold_micro_usd"]["N"]) for alert in alerts}
    return Limits(**numbers, spend_alerts_micro_usd=tuple(sorted(amounts)))


def limits_attributes(limits: Limits) -> dict[str, Any]:
    """The inverse of `parse_limits`, with alerts that name nobody; what sets no limit is left out."""
    attributes: dict[str, Any] = {}
    for name in _NUMBERS:
        value = getattr(limits, name)
        if value is not None and not (value == 0 and name.startswith("burst")):
            attributes[name] = {"N": str(value)}
    if limits.spend_alerts_micro_usd:
        attributes["spend_alerts"] = {
            "L": [
                {
                    "M": {
                        "id": {"S": f"alert_{amount}"},
                        "threshold_micro_usd": {"N": str(amount)},
                        "recipients": {"L": []},
                    }
                }
                for amount in limits.spend_alerts_micro_usd
            ]
        }
    return attributes
