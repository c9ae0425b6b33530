"""Runs `admission.lua` on Valkey; what it takes and answers is told there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.admission.plan import Plan
from app.admission.rates import Standing
from app.valkey import Argument, Valkey, ValkeyReplyError

SCRIPT = Path(__file__).with_name("admission.lua").read_bytes()
SCRIPT_SHA1 = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()

Refusal = Literal["limit", "held", "count", "budget", "reserved"]
NEVER = -1
UNTIL_OTHERS_SETTLE = -2


class UnseededError(Exception):
    """Valkey's memory of an organization was lost, or never was."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one request asks for. costs: of each rate of the plan. lease_ms: how long it may take.

    money: micro-dollars held. meta: told by the outbox when the lease expires.
    """

    plan: Plan
    costs: Sequence[int]
    money: int
    lease_ms: int
    meta: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The script's word on a request.

    generation: of the memory that it was reserved in, None when it was refused by the `number`th (from 0)
    limit, count or budget that `refused` says. wait_ms: NEVER, UNTIL_OTHERS_SETTLE, or how long. now_ms: the
    server's clock.
    """

    generation: str | None
    refused: Refusal | None
    number: int
    wait_ms: int
    now_ms: int
    standings: list[Standing]


def keys(organization_id: str, request_id: str = "", generation: str = "") -> tuple[str, ...]:
    """The braces keep what one script may touch together, the organization's, in one slot of a cluster.

    A request whose lease was lost is charged once in each generation that began without it.
    """
    prefix = f"admission:{{{organization_id}}}"
    return (
        prefix,
        f"{prefix}:leases",
        f"{prefix}:held",
        outbox_key(organization_id),
        f"{prefix}:charged:{generation}:{request_id}",
    )


def outbox_key(organization_id: str) -> str:
    return f"admission:{{{organization_id}}}:outbox"


async def reserve(valkey: Valkey, organization_id: str, request_id: str, terms: Terms) -> Verdict:
    """Reserves all of it or nothing. Raises UnseededError, ValkeyUnavailableError, ValkeyReplyError."""
    return verdict(
        terms, await run(valkey, organization_id, request_id, reserve_arguments(request_id, terms))
    )


def reserve_arguments(request_id: str, terms: Terms) -> list[Argument]:
    plan = terms.plan
    arguments: list[Argument] = [
        "reserve",
        request_id,
        terms.lease_ms,
        terms.money,
        terms.meta,
        len(plan.rates),
        len(plan.counts),
        len(plan.budgets),
    ]
    for rate, cost in zip(plan.rates, terms.costs, strict=True):
        arguments += (rate.field, rate.limit, rate.capacity, rate.period, rate.tick_ms, cost)
        arguments.append(1 if rate.what == "tokens" else 0)
    for count in plan.counts:
        arguments += (count.field, count.most)
    for budget in plan.budgets:
        arguments += (budget.field, -1 if budget.limit is None else budget.limit)
    return arguments


def verdict(terms: Terms, answer: Sequence[Any]) -> Verdict:
    """Reads the script's answer. Raises UnseededError."""
    if answer[0] == -1:
        raise UnseededError
    allowed, word, number, wait_ms, now_ms = answer[:5]
    standings = [
        Standing(bool(allowed), rate.limit, answer[5 + 2 * index], answer[6 + 2 * index], max(0, wait_ms))
        for index, rate in enumerate(terms.plan.rates)
    ]
    text: Any = word.decode()
    if allowed:
        return Verdict(text, None, 0, 0, now_ms, standings)
    return Verdict(None, text, number - 1, wait_ms, now_ms, standings)


@dataclass(frozen=True, slots=True)
class Settled:
    """done: the usage is in the outbox, or was put there before. generation: when not done, of the memory
    there is now."""

    done: bool
    generation: str = ""


async def settle(
    valkey: Valkey,
    organization_id: str,
    request_id: str,
    *,
    generation: str,
    tokens: int,
    money: int,
    record: bytes,
    if_gone: Literal["append", "charge"],
    at_ms: int = 0,
    budgets: Sequence[str] = (),
) -> Settled:
    """Settles a request once. Raises UnseededError, ValkeyUnavailableError, ValkeyReplyError."""
    answer = await run(
        valkey,
        organization_id,
        request_id,
        ("settle", request_id, generation, tokens, money, record, if_gone, at_ms, *budgets),
        generation,
    )
    if answer[0] == -1:
        raise UnseededError
    if answer[0] == -2:
        return Settled(False, answer[1].decode())
    return Settled(True)


async def sweep(valkey: Valkey, organization_id: str, most: int) -> int:
    """Charges leases that are over. Returns how many."""
    answer = await run(valkey, organization_id, "", ("sweep", most))
    expired: int = answer[0]
    return expired


async def seed(
    valkey: Valkey, organization_id: str, generation: str, month: int, spent: Sequence[tuple[str, int]]
) -> str:
    """Gives Valkey the month's spending, unless it has a memory. Returns the generation in force."""
    pairs = [part for pair in spent for part in pair]
    answer = await run(valkey, organization_id, "", ("seed", generation, month, *pairs))
    in_force: str = answer[1].decode()
    return in_force


async def void(valkey: Valkey, organization_id: str, generation: str) -> None:
    """Makes Valkey forget a generation, so that the next reservation seeds another."""
    await run(valkey, organization_id, "", ("void", generation))


async def run(
    valkey: Valkey,
    organization_id: str,
    request_id: str,
    arguments: Sequence[Argument],
    generation: str = "",
) -> list[Any]:
    names = keys(organization_id, request_id, generation)
    try:
        answer = await valkey.execute("EVALSHA", SCRIPT_SHA1, len(names), *names, *arguments)
    except ValkeyReplyError as refused:
        # A server that was restarted or took over does not know the script yet; EVAL also teaches it.
        if refused.code != "NOSCRIPT":
            raise
        answer = await valkey.execute("EVAL", SCRIPT, len(names), *names, *arguments)
    result: list[Any] = answer
    return result
