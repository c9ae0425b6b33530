"""What is said of a refused config: each key with its value, the reason, and the command that mends it."""

import difflib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from infra.stack_config import REGION_KEY, StackConfig


@dataclass(frozen=True)
class Problem:
    """One refused key: what it holds, why that is refused, and the command that mends it."""

    key: str
    value: str | None
    reason: str
    command: str

    def __str__(self) -> str:
        shown = "is not set" if self.value is None else f"= {json.dumps(self.value, ensure_ascii=False)}"
        return f"  {self.key} {shown}\n    {self.reason}\n    mend it: {self.command}"


class ConfigError(Exception):
    """A config that was refused, with all of its problems."""

    def __init__(self, stack: str, problems: list[Problem]) -> None:
        self.stack = stack
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{count} in the config of stack {stack}:\n" + "\n".join(map(str, problems)))


def problem(stack: str, found: ErrorDetails, values: Mapping[str, Any], hidden: set[str]) -> Problem:
    """Pydantic's `found` as a problem. values: by key, as given; hidden: keys whose values are not shown."""
    field = str(found["loc"][0])
    if found["type"] == "extra_forbidden":
        return unknown(stack, field, values[field], hidden)
    key = REGION_KEY if field == "region" else field
    context = found.get("ctx", {})
    if found["type"] == "missing" or values.get(field) == "":
        return Problem(
            key, None, "is required", _set(stack, key, context.get("remedy") or _EXAMPLES.get(field, "…"))
        )
    value = "[secret]" if field in hidden else str(values[field])
    if "remedy" in context:
        return Problem(key, value, context["reason"], _set(stack, key, context["remedy"]))
    reason, remedy = _bounds(field, context, found["msg"])
    return Problem(key, value, reason, _set(stack, key, remedy))


def _bounds(field: str, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """Reason and remedy of a number outside its bounds, or of a value that is no number."""
    limits = {type(m).__name__: m for m in StackConfig.model_fields[field].metadata}
    low = getattr(limits.get("Ge"), "ge", None)
    high = getattr(limits.get("Le"), "le", None)
    if low is None:
        return message, _EXAMPLES.get(field, "…")
    remedy = high if "le" in context else max(low, int(_EXAMPLES.get(field, low)))
    return f"must be a whole number from {low} to {high}", str(remedy)


def unknown(stack: str, key: str, value: object, hidden: set[str]) -> Problem:
    """A key that is none, with the one that was perhaps meant."""
    close = difflib.get_close_matches(
        key, [f for f in StackConfig.model_fields if f not in ("project", "stack")], 1
    )
    meant = f"; did you mean {REGION_KEY if close[0] == 'region' else close[0]}?" if close else ""
    shown = "[secret]" if key in hidden else str(value)
    return Problem(
        key,
        shown,
        f"is no key of this project{meant}",
        f"pulumi config rm {shlex.quote(key)} --stack {stack}",
    )


def _set(stack: str, key: str, remedy: str) -> str:
    return f"pulumi config set {key} {shlex.quote(remedy)} --stack {stack}"


# A value to show for a key that is missing or unreadable and has no bounds of its own.
_EXAMPLES = {
    "region": "us-east-1",
    "environment": "staging",
    "owner": "platform@example.com",
    "cost_center": "platform",
    "repository": "example-org/openai-gateway",
    "monthly_budget_usd": "200",
    "min_tasks": "2",
    "slow_answer_s": "60",
    "task_cpu": "512",
    "task_memory_mib": "1024",
    "log_retention_days": "30",
    "secret_recovery_days": "7",
}
