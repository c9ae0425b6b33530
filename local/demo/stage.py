"""What the demo's scenes play on, and how one says that something did not come out as it must."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import openai

from local.demo.evidence import Evidence


class DemoFailedError(Exception):
    """Something did not come out as it must."""


@dataclass(frozen=True)
class Stage:
    """client: the official SDK, with the first project's key. owner: the same, with the owner's admin key."""

    evidence: Evidence
    client: openai.OpenAI
    owner: openai.OpenAI


Scene = Callable[[Stage], Iterator[str]]
"""Its docstring is its title; it yields what came out. Raises DemoFailedError."""


def expect(holds: bool, what: str) -> None:
    """Raises DemoFailedError."""
    if not holds:
        raise DemoFailedError(what)


def since_ms(started: float) -> float:
    """started: of time.perf_counter."""
    return (time.perf_counter() - started) * 1000
