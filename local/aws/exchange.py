"""What local AWS and the runtime tell each other beyond AWS's own API, as files in one folder.

The runtime tells what it observes (which tasks run, which targets are healthy), so that `describe_tasks` and
`describe_target_health` answer the truth. Local AWS tells the hashes of the cache users' passwords, which no
API returns, so that Valkey can check them.
"""

import json
import os
from pathlib import Path
from typing import Any

from local.files import read_json, write_json

FOLDER_VARIABLE = "LOCAL_AWS_EXCHANGE"
CACHE_PORT_VARIABLE = "LOCAL_AWS_CACHE_PORT"
OBSERVED = "observed.json"
PASSWORD_HASHES = "cache-password-hashes.json"  # noqa: S105 a file's name


def folder() -> Path:
    """The folder of this process's local AWS. Raises KeyError outside of it."""
    return Path(os.environ[FOLDER_VARIABLE])


def observed() -> dict[str, Any]:
    """What the runtime last observed.

    targets: target group ARN -> [{id, port, state, reason, description}]
    services: service ARN -> {running, pending}
    tasks: tasks as ecs:DescribeTasks returns them
    """
    empty: dict[str, Any] = {"targets": {}, "services": {}, "tasks": []}
    try:
        told: dict[str, Any] = read_json(folder() / OBSERVED, {})
    except json.JSONDecodeError:
        return empty
    return empty | told


def write_observed(where: Path, value: dict[str, Any]) -> None:
    """Tells local AWS what runs; see `observed` for the shape."""
    write_json(where / OBSERVED, value)


def write_password_hashes(hashes: dict[str, list[str]]) -> None:
    """Tells the runtime the SHA-256 of every cache user's passwords, in hex, by user id."""
    write_json(folder() / PASSWORD_HASHES, hashes)


def password_hashes(where: Path) -> dict[str, list[str]]:
    """User id -> SHA-256 of its passwords, in hex."""
    hashes: dict[str, list[str]] = read_json(where / PASSWORD_HASHES, {})
    return hashes
