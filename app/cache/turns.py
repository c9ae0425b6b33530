"""Whose turn it is to ask the upstream, among replicas: one asks, the others look again for its answer.

They wait for as long as it is at work and no longer than it would take to ask: a stream's reader waits for
its first event, so less. Whoever is not served in that time asks by itself.
"""

import asyncio
from collections.abc import Callable

from app.cache.flights import Flight
from app.cache.responses import Lookup, Question, ResponseCache

PLAIN_PATIENCE_S = 10.0
STREAM_PATIENCE_S = 2.0
FIRST_PAUSE_S = 0.01
LONGEST_PAUSE_S = 0.2


async def turn(
    cache: ResponseCache,
    question: Question | None,
    lookup: Lookup,
    flight: Flight,
    waits: Callable[[], None],
    *,
    stream: bool,
) -> Lookup:
    """The lookup as it is when the turn has come: with the answer of another replica, or without.

    In the latter case the flight has the lease, unless there is none to be had. Only for a flight that needs
    a turn. waits: told each time that another replica is waited for.
    """
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + (STREAM_PATIENCE_S if stream else PLAIN_PATIENCE_S)
    pause_s = FIRST_PAUSE_S
    while lookup.answer is None and lookup.slot is not None and lookup.slot.is_keepable:
        if not lookup.leased:
            flight.lease = await cache.lease(lookup.slot)
            if flight.lease is not None:
                break
        if loop.time() >= patient_until:
            break
        waits()
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        lookup = await cache.look_up(question)
        flight.slot = lookup.slot or flight.slot
    if lookup.answer is not None:
        flight.land(lookup.answer)
    return lookup
