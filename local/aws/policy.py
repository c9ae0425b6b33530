"""Whether IAM policies allow a request: explicit deny, then allow, else implicit deny.

The evaluation of the IAM user guide ("Policy evaluation logic") for identity policies: Action, NotAction,
Resource, NotResource and conditions. An operator that is not known here is an error, never a silent pass.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class AccessRequest:
    """One action on one resource. context: condition key -> value; keys are compared without case."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


class UnknownConditionOperatorError(Exception):
    """A policy uses a condition operator that local AWS does not evaluate."""


def is_allowed(statements: Iterable[Statement], request: AccessRequest) -> bool:
    """Whether the statements of one identity allow the request. Raises UnknownConditionOperatorError."""
    effects = effects_of(statements, request)
    return "Deny" not in effects and "Allow" in effects


def effects_of(statements: Iterable[Statement], request: AccessRequest) -> set[str]:
    """The effects, Allow and Deny, of the statements that apply. Raises UnknownConditionOperatorError."""
    return {statement["Effect"] for statement in statements if _applies(statement, request)}


def statements_of(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document, which may hold one or a list."""
    found = document.get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def _applies(statement: Statement, request: AccessRequest) -> bool:
    return (
        _covers(statement, "Action", request.action, ignore_case=True)
        and _covers(statement, "Resource", request.resource)
        and _conditions_hold(statement.get("Condition", {}), request.context)
    )


def _covers(statement: Statement, element: str, value: str, ignore_case: bool = False) -> bool:
    negated = f"Not{element}" in statement
    patterns = _listed(statement.get(f"Not{element}" if negated else element, []))
    return any(matches(pattern, value, ignore_case) for pattern in patterns) != negated


def matches(pattern: str, value: str, ignore_case: bool = False) -> bool:
    """Whether `value` matches a pattern with the wildcards * (any text) and ? (any character)."""
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _condition_holds(operator, _listed(wanted), known.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, wanted: list[Any], found: str | None) -> bool:
    name = operator.removesuffix("IfExists").rpartition(":")[2]
    texts = [str(value) for value in wanted]
    if name == "Null":
        return (found is None) == (texts[0].lower() == "true")
    negated = "Not" in name
    compare = _OPERATORS.get(name.replace("Not", ""))
    if compare is None:
        raise UnknownConditionOperatorError(operator)
    if found is None:
        return operator.endswith("IfExists") or negated
    return any(compare(text, found) for text in texts) != negated


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": matches,
    "ArnEquals": matches,
    "ArnLike": matches,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "NumericEquals": lambda wanted, found: float(found) == float(wanted),
    "NumericLessThan": lambda wanted, found: float(found) < float(wanted),
    "NumericLessThanEquals": lambda wanted, found: float(found) <= float(wanted),
    "NumericGreaterThan": lambda wanted, found: float(found) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, found: float(found) >= float(wanted),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
