"""The image's recipe. No Docker here: what can be read from the Dockerfile is asserted on what it says."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.servers import ROOT


@dataclass(frozen=True)
class Stage:
    """One build stage: its base image and its instructions, continuation lines joined."""

    base: str
    name: str | None
    instructions: list[tuple[str, str]]

    def of(self, instruction: str) -> list[str]:
        return [text for name, text in self.instructions if name == instruction]


def stages() -> list[Stage]:
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "app/Dockerfile").read_text())
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            found.append(Stage(base, alias or None, []))
        else:
            found[-1].instructions.append((name, rest.strip()))
    return found


@pytest.fixture
def build() -> Stage:
    return stages()[0]


@pytest.fixture
def final() -> Stage:
    return stages()[-1]


def test_two_stages_start_from_the_same_slim_python_pinned_by_tag(build: Stage, final: Stage) -> None:
    assert len(stages()) == 2
    assert build.base == final.base
    assert re.fullmatch(r"python:3\.1[1-3](\.\d+)?-slim(-[a-z]+)?", final.base)


def test_dependencies_are_installed_from_hashed_wheels_only(build: Stage) -> None:
    install = next(run for run in build.of("RUN") if " install " in run)
    assert {"--require-hashes", "--only-binary=:all:", "--no-cache-dir"} <= set(install.split())
    assert install.endswith("--requirement requirements-app.txt")


def test_the_last_stage_installs_nothing_and_holds_no_installer(build: Stage, final: Stage) -> None:
    commands = " && ".join(final.of("RUN"))
    assert not re.search(r"\b(apt|apt-get|install|gcc|curl|wget)\b", commands)
    assert "pip uninstall --yes" in commands
    assert any("venv --without-pip" in run for run in build.of("RUN"))


def test_the_last_stage_copies_from_the_build_stage_only(build: Stage, final: Stage) -> None:
    assert build.name
    assert final.of("COPY")
    assert all(copy.startswith(f"--from={build.name} ") for copy in final.of("COPY"))
    assert not final.of("ADD")
    assert not build.of("ADD")


def test_it_runs_as_the_user_that_the_task_definition_names(final: Stage) -> None:
    assert final.of("USER") == ["10001:10001"]
    names = [name for name, _ in final.instructions]
    assert "RUN" not in names[names.index("USER") :]
    assert "COPY" not in names[names.index("USER") :]


def test_nothing_has_to_be_written_when_it_runs(build: Stage, final: Stage) -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in " ".join(final.of("ENV"))
    assert any("compileall" in run for run in build.of("RUN"))
    assert not final.of("VOLUME")


def test_it_is_started_checked_and_stopped_without_a_shell(final: Stage) -> None:
    assert json.loads(final.of("CMD")[0]) == ["python", "-m", "app"]
    assert not final.of("ENTRYPOINT")
    check = final.of("HEALTHCHECK")[0]
    assert json.loads(check[check.index("[") :]) == ["python", "-m", "app.healthcheck"]
    assert final.of("STOPSIGNAL") == ["SIGTERM"]


def test_no_secret_is_baked_in(build: Stage, final: Stage) -> None:
    for stage in (build, final):
        assert not stage.of("ARG")
        assert not re.search(r"KEY|SECRET|PASSWORD|PEPPER|TOKEN", " ".join(stage.of("ENV")))


def test_the_build_context_holds_what_is_copied_and_no_more(build: Stage) -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def is_sent(path: str) -> bool:
        sent = True
        for rule in rules:
            pattern = rule.removeprefix("!")
            parts = path.split("/")
            folders = ["/".join(parts[: index + 1]) for index in range(len(parts))]
            # Docker's `**/` matches at any depth, the first included.
            names = parts if pattern.startswith("**/") else folders
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                sent = rule.startswith("!")
        return sent

    copied = {copy.split()[0] for copy in build.of("COPY")}
    assert copied == {"app", "requirements-app.txt"}
    assert is_sent("requirements-app.txt")
    assert is_sent("app/__main__.py")
    assert is_sent("app/admission/gcra.lua")
    assert is_sent("app/admin/administration.py")
    for kept_out in (".git/config", ".local/staging/x", "infra/stack.py", "app/__pycache__/x.pyc", ".env"):
        assert not is_sent(kept_out), kept_out
    for commands in ("app/admin/__main__.py", "app/admin/document/door.py"):
        assert not is_sent(commands), commands


def test_the_gateway_imports_nothing_that_is_kept_out() -> None:
    code = "import sys, app.server; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "app.admin.administration" in loaded
    assert [
        name for name in loaded if name.split(".")[0] in ("openai", "yaml", "boto3", "infra", "local")
    ] == []
    assert [name for name in loaded if name.startswith("app.admin.document")] == []
