"""What runs: containers without privileges, and without a secret in plain sight."""

import re
from collections.abc import Mapping
from typing import Any

from policy.resource import Graph, containers, of_type

SECRET_WORDS = {"KEY", "KEYS", "PASSWORD", "PASSWD", "PEPPER", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS"}

SECRET_VALUES = (
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"),  # OpenAI's keys and the gateway's own
    re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS access key ids
    re.compile(r"://[^/@\s]*:[^/@\s]+@"),  # a password within an address
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
)


def no_secret_in_plain_environment(graph: Graph) -> list[str]:
    """A container's plain environment neither names nor holds a secret; the ARN of one is fine."""
    found = []
    for task, container in containers(graph):
        for entry in container.get("environment", []):
            name, value = entry["name"], entry["value"]
            named = SECRET_WORDS.intersection(name.upper().split("_")) and not value.startswith("arn:aws:")
            if named or any(pattern.search(value) for pattern in SECRET_VALUES):
                found.append(f"{task}: {name} is a secret in plain environment; pass it by reference")
    return found


def secrets_come_by_reference(graph: Graph) -> list[str]:
    """What ECS injects comes from this stack's secrets."""
    known = {secret.get("arn") for secret in of_type(graph, "secretsmanager/secret:Secret")}
    return [
        f"{task}: {entry['name']} comes from {entry['valueFrom']}, which is no secret of this stack"
        for task, container in containers(graph)
        for entry in container.get("secrets", [])
        if entry["valueFrom"] not in known
    ]


def containers_are_unprivileged(graph: Graph) -> list[str]:
    """Not root, no capabilities, a root file system that cannot be written, an image by digest."""
    found = []
    for task, container in containers(graph):
        name = f"{task}: container {container['name']}"
        found += [f"{name} {problem}" for problem in _problems(container)]
    return found


def _problems(container: Mapping[str, Any]) -> list[str]:
    checks = {
        "runs as root": str(container.get("user", "0")).split(":")[0] not in ("0", "root"),
        "may write to its root file system": container.get("readonlyRootFilesystem") is True,
        "keeps capabilities": container.get("linuxParameters", {}).get("capabilities", {}).get("drop")
        == ["ALL"],
        "is privileged": not container.get("privileged"),
        "runs an image that a moved tag can change": "@sha256:" in container["image"],
    }
    return [problem for problem, holds in checks.items() if not holds]
