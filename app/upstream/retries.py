"""When a call that failed is made again: which failures, after how long, and how often over all requests.

Made again is only what surely was not charged: a connection that did not come about, a refusal for its rate,
and a failure that the upstream told itself. A connection that broke after the request was sent may have been
charged; the caller is told, and asks again with a reservation of its own.
"""

import email.utils
import random
import time
from collections.abc import Mapping

MAX_ATTEMPTS = 3
LONGEST_WAIT_S = 5.0
"""An upstream that asks for more gets its way: the caller is told how long, and does the waiting."""

FIRST_BACKOFF_S = 0.25
LONGEST_BACKOFF_S = 4.0

RETRIES_PER_REQUEST = 0.2
MAX_SAVED_RETRIES = 20.0

RETRIED_STATUSES = frozenset({429, 500, 502, 503})
_OPEN = frozenset({408, 409})
"""Refusals that leave open whether the work was done, as 504 does and what is no status of OpenAI's."""

OUT_OF_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Error codes of a 429 that no waiting mends."""


FALLBACKS_PER_REQUEST = 1.0
"""Another model may well be able to answer, and one that has failed is left alone for a while. So there is a
fallback even when each request is the first to find out."""


class RetryBudget:
    """Retries are a share of the requests, so that an upstream in trouble is not asked many times as much."""

    def __init__(self, per_request: float = RETRIES_PER_REQUEST) -> None:
        self._per_request = per_request
        self._saved = MAX_SAVED_RETRIES

    def request_began(self) -> None:
        self._saved = min(MAX_SAVED_RETRIES, self._saved + self._per_request)

    def take(self) -> bool:
        """Whether there is a retry to spend; it is spent."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


def may_be_charged(status: int) -> bool:
    """Whether the upstream may charge for what it gave this status to; a refusal and a failure are free."""
    return status in _OPEN if 400 <= status < 500 else status not in RETRIED_STATUSES


def is_retried(status: int, headers: Mapping[str, str], *, once: bool = False) -> bool:
    """Whether an answer is worth another attempt, of which the upstream's own word comes first.

    once: what was done must not be done again, and a failure does not say that it was not.
    """
    told = headers.get("x-should-retry")
    if told == "false" or may_be_charged(status) or (once and status != 429):
        return False
    return status in RETRIED_STATUSES or told == "true"


def told_wait_s(headers: Mapping[str, str]) -> float | None:
    """What retry-after-ms or retry-after (seconds or a date) say, None when neither can be understood."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if 0 <= wait_s < float("inf"):
            return wait_s
    try:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())


def wait_s(retry: int, headers: Mapping[str, str]) -> float | None:
    """How long to wait before retry number 1, 2, …; None: too long, do not.

    Full jitter on top of what the upstream told: callers that were refused together must not return together.
    """
    told = told_wait_s(headers) or 0.0
    if told > LONGEST_WAIT_S:
        return None
    backoff = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2 ** (retry - 1))
    return told + random.uniform(0, backoff)  # noqa: S311
