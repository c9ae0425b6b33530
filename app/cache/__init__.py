"""Answers that were given before, or are about to be: kept in Valkey, shared while they are made."""

from app.cache.flights import Flight, Flights, LeaderFailedError
from app.cache.invalidation import Invalidation, invalidation
from app.cache.responses import Lookup, Question, ResponseCache, scopes_of
from app.cache.turns import turn
from app.cache.wishes import NO_WISHES, WISHING, Wishes, parse_wishes

__all__ = [
    "NO_WISHES",
    "WISHING",
    "Flight",
    "Flights",
    "Invalidation",
    "LeaderFailedError",
    "Lookup",
    "Question",
    "ResponseCache",
    "Wishes",
    "invalidation",
    "parse_wishes",
    "scopes_of",
    "turn",
]
