"""Runs `admission.lua` on Valkey; what it takes and answers is told there."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from app.admission.plan import Plan, costs
from app.valkey import NOTHING, Argument, Fragment, Valkey, ValkeyReplyError, command, fragment

SCRIPT = Path(__file__).with_name("admission.lua").read_bytes()
SCRIPT_SHA1 = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()

IfGone = Literal["append", "charge"]
Refusal = Literal["limit", "held", "count", "budget", "reserved"]
NEVER = -1
UNTIL_OTHERS_SETTLE = -2


class UnseededError(Exception):
    """Valkey's memory of an organization was lost, or never was."""


@dataclass(slots=True)
class Terms:
    """What one request asks for. lease_ms: how long it may take.

    tokens: the most it can use; bounded: it says so itself. money: micro-dollars held. meta: told by the
    outbox when the lease expires.
    """

    plan: Plan
    tokens: int
    bounded: bool
    money: int
    lease_ms: int
    meta: bytes

    @property
    def costs(self) -> list[int]:
        """Of each rate of the plan."""
        return costs(self.plan, self.tokens, bounded=self.bounded)


@dataclass(frozen=True, slots=True)
class Lease:
    """What is out for longer than a memory lasts, and is held again by the next one.

    lasts_ms: until its end. money: micro-dollars held of both budgets. meta: told by the outbox at its end.
    """

    request_id: str
    lasts_ms: int
    money: int
    meta: bytes
    budgets: tuple[str, str]


@dataclass(slots=True)
class Verdict:
    """The script's word on a request.

    generation: of the memory that it was reserved in, None when it was refused by the `number`th (from 0)
    limit, count or budget that `refused` says. wait_ms: NEVER, UNTIL_OTHERS_SETTLE, or how long. now_ms: the
    server's clock. standings: of each rate what remains, and how many ms until it is full again.
    """

    generation: str | None
    refused: Refusal | None
    number: int
    wait_ms: int
    now_ms: int
    standings: list[tuple[int, int]]


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
        _mark(organization_id, request_id, generation),
    )


def _mark(organization_id: str, request_id: str, generation: str) -> str:
    return f"admission:{{{organization_id}}}:charged:{generation}:{request_id}"


def outbox_key(organization_id: str) -> str:
    return f"admission:{{{organization_id}}}:outbox"


async def reserve(valkey: Valkey, organization_id: str, request_id: str, terms: Terms) -> Verdict:
    """Reserves all of it or nothing. Raises UnseededError, ValkeyUnavailableError, ValkeyReplyError."""
    packed = command(_head(organization_id), of_request(request_id, terms), terms.plan.spelled)
    try:
        answer = await valkey.ask(packed)
    except ValkeyReplyError as refused:
        answer = await _run_again(valkey, packed, refused)
    return verdict(answer)


def of_request(request_id: str, terms: Terms) -> tuple[Argument, ...]:
    """What a reservation says of its request, before its plan."""
    bounded = 1 if terms.bounded else 0
    return ("reserve", request_id, terms.lease_ms, terms.money, terms.tokens, bounded, terms.meta)


def verdict(answer: Sequence[Any]) -> Verdict:
    """Reads the script's answer. Raises UnseededError."""
    if answer[0] == -1:
        raise UnseededError
    allowed, word, number, wait_ms, now_ms = answer[:5]
    figures = iter(answer[5:])
    standings = list(zip(figures, figures, strict=True))
    if allowed:
        return Verdict(word.decode(), None, 0, 0, now_ms, standings)
    return Verdict(None, word.decode(), number - 1, wait_ms, now_ms, standings)


def settle_command(
    organization_id: str,
    request_id: str,
    generation: str,
    tokens: int,
    money: int,
    record: bytes,
    if_gone: IfGone,
    at_ms: int,
    *budgets: str,
) -> bytes:
    """See admission.lua."""
    mark = _mark(organization_id, request_id, generation)
    own = (mark, "settle", request_id, generation, tokens, money, record, if_gone, at_ms)
    return command(_head(organization_id, True), own, _budgets(*budgets))


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
    if_gone: IfGone,
    at_ms: int = 0,
    budgets: Sequence[str] = (),
) -> Settled:
    """Settles a request once. Raises UnseededError, ValkeyUnavailableError, ValkeyReplyError."""
    packed = settle_command(
        organization_id, request_id, generation, tokens, money, record, if_gone, at_ms, *budgets
    )
    answer = await run(valkey, packed)
    if answer[0] == -1:
        raise UnseededError
    if answer[0] == -2:
        return Settled(False, answer[1].decode())
    return Settled(True)


async def sweep(valkey: Valkey, organization_id: str, most: int) -> int:
    """Charges leases that are over. Returns how many."""
    answer = await _call(valkey, organization_id, "sweep", most)
    expired: int = answer[0]
    return expired


async def seed(
    valkey: Valkey,
    organization_id: str,
    generation: str,
    month: int,
    spent: Sequence[tuple[str, int]],
    leases: Sequence[Lease] = (),
) -> str:
    """Gives Valkey the month's spending and what is out, unless it has a memory. Returns the generation in
    force."""
    arguments: list[Argument] = [part for pair in spent for part in pair]
    arguments.append("leases")
    for lease in leases:
        arguments += (lease.request_id, lease.lasts_ms, lease.money, lease.meta, *lease.budgets)
    answer = await _call(valkey, organization_id, "seed", generation, month, *arguments)
    in_force: str = answer[1].decode()
    return in_force


async def void(valkey: Valkey, organization_id: str, generation: str) -> None:
    """Makes Valkey forget a generation, so that the next reservation seeds another."""
    await _call(valkey, organization_id, "void", generation)


async def _call(valkey: Valkey, organization_id: str, *arguments: Argument) -> list[Any]:
    return await run(valkey, command(_head(organization_id), arguments))


async def run(valkey: Valkey, packed: bytes) -> list[Any]:
    """The script's answer to a whole command. Raises ValkeyUnavailableError, ValkeyReplyError."""
    try:
        answer: list[Any] = await valkey.ask(packed)
    except ValkeyReplyError as refused:
        answer = await _run_again(valkey, packed, refused)
    return answer


async def _run_again(valkey: Valkey, packed: bytes, refused: ValkeyReplyError) -> list[Any]:
    # A server that was restarted or took over does not know the script yet.
    if refused.code != "NOSCRIPT":
        raise refused
    await valkey.execute("SCRIPT", "LOAD", SCRIPT)
    answer: list[Any] = await valkey.ask(packed)
    return answer


@lru_cache(maxsize=1024)
def _budgets(*names: str) -> Fragment:
    return fragment(*names) if names else NOTHING


@lru_cache(maxsize=1024)
def _head(organization_id: str, with_mark: bool = False) -> Fragment:
    """What every call for an organization begins with; the key of the mark follows where there is one."""
    names = keys(organization_id)[:4]
    return fragment("EVALSHA", SCRIPT_SHA1, len(names) + with_mark, *names)
