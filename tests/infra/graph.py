"""The stacks' graphs as tests ask for them: each recorded once, and a failing program fails the test."""

from collections.abc import Mapping
from functools import cache

from offline.answers import ACCOUNT
from offline.graph import ProgramError, Registered, StackGraph, record

__all__ = ["ACCOUNT", "Registered", "StackGraph", "run_in_own_process", "stack_graph"]


@cache
def stack_graph(name: str, **overrides: str) -> StackGraph:
    """The graph of stack `name`; overrides are config values (`aws_region` for `aws:region`)."""
    return run_in_own_process(
        name, {key.replace("aws_region", "aws:region"): value for key, value in overrides.items()}
    )


def run_in_own_process(name: str, overrides: Mapping[str, str] | None = None) -> StackGraph:
    """Run the program anew. AssertionError with what it said when it fails."""
    try:
        return record(name, overrides)
    except ProgramError as error:
        raise AssertionError(str(error)) from None
