"""A stack's config: read once, checked whole, frozen. Whoever needs a config gets it here.

The keys, their types, defaults and descriptions are declared in `Pulumi.yaml`; each stack's values stand in
`Pulumi.<stack>.yaml`. `load` reads what the engine hands to a running program, `load_file` the same two
files offline, so that a stack can be checked, tested and run on one machine without the engine.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pydantic import ValidationError

from infra.config_problems import ConfigError, Problem, problem, unknown
from infra.stack_config import REGION_KEY, StackConfig

__all__ = [
    "REGION_KEY",
    "ROOT",
    "ConfigError",
    "Problem",
    "StackConfig",
    "load",
    "load_file",
    "parse",
    "read_files",
    "stacks",
]

ROOT = Path(__file__).resolve().parent.parent


def load() -> StackConfig:
    """The config of the Pulumi program that is running.

    Raises ConfigError with every problem.
    """
    given = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    secret = {key for key in given if pulumi.runtime.config.is_config_secret(key)}
    return parse(pulumi.get_project(), pulumi.get_stack(), given, secret)


def load_file(stack: str, overrides: Mapping[str, str] | None = None, root: Path = ROOT) -> StackConfig:
    """The config of `stack` from `Pulumi.yaml` and `Pulumi.<stack>.yaml` in `root`, without the engine.

    overrides: key -> value, as `pulumi up --config key=value` takes them.
    Raises ConfigError with every problem, or when there is no such stack.
    """
    project, given = read_files(stack, overrides, root)
    return parse(project, stack, given)


def read_files(
    stack: str, overrides: Mapping[str, str] | None = None, root: Path = ROOT
) -> tuple[str, dict[str, str]]:
    """The project's name, and the values of `stack` under their full keys, as the engine hands them over."""
    declared = yaml.safe_load((root / "Pulumi.yaml").read_text())
    project: str = declared["name"]
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        missing = Problem("stack", stack, f"has no Pulumi.{stack}.yaml; there is {', '.join(stacks(root))}",
                          f"pulumi stack init {shlex.quote(stack)}")  # fmt: skip
        raise ConfigError(stack, [missing])
    # `pulumi new` adds keys of its own namespace, which have a value and no default.
    defaults = {key: entry["default"] for key, entry in declared["config"].items() if ":" not in key}
    values = (yaml.safe_load(path.read_text()) or {}).get("config") or {}
    layers = (defaults, values, overrides or {})
    given = {_full_key(project, key): _as_text(value) for layer in layers for key, value in layer.items()}
    return project, given


def stacks(root: Path = ROOT) -> list[str]:
    """The stacks that have a file in `root`."""
    return sorted(path.name.split(".")[1] for path in root.glob("Pulumi.*.yaml"))


def parse(
    project: str, stack: str, given: Mapping[str, str], secret: frozenset[str] | set[str] = frozenset()
) -> StackConfig:
    """The checked config of `stack` from values under their full keys (`project:key`, `aws:region`).

    secret: full keys whose values must not be shown. Keys of other namespaces are left to their providers.
    Raises ConfigError with every problem.
    """
    prefix = f"{project}:"
    own = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    reserved = {key: value for key, value in own.items() if key in ("project", "stack", "region")}
    values: dict[str, Any] = {key: value for key, value in own.items() if key not in reserved}
    values |= {"project": project, "stack": stack}
    if REGION_KEY in given:
        values["region"] = given[REGION_KEY]
    hidden = {key.removeprefix(prefix) for key in secret}
    problems = [unknown(stack, key, value, hidden) for key, value in reserved.items()]
    try:
        config = StackConfig.model_validate(values)
    except ValidationError as error:
        problems += [problem(stack, found, values, hidden) for found in error.errors()]
    if problems:
        raise ConfigError(stack, problems)
    return config


def _full_key(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _as_text(value: object) -> str:
    """As the engine writes a YAML value: JSON but for text."""
    return value if isinstance(value, str) else json.dumps(value)
