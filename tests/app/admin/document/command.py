"""`python -m app.admin` in this process, against an organization of a test's own."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from app.admin.__main__ import main
from tests.app.admin.people import People


@dataclass(frozen=True)
class Said:
    """How a command ended, and its two outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What an export printed."""
        content: dict[str, Any] = yaml.safe_load(self.out)
        return content


@dataclass(frozen=True)
class Command:
    """folder: where its files are put."""

    people: People
    folder: Path
    key: str | None = None

    def variables(self) -> dict[str, str]:
        """The environment that says where the API is and who asks."""
        return {
            "OPENAI_BASE_URL": f"{self.people.gateway.url}/v1",
            "OPENAI_ADMIN_KEY": self.key or self.people.owner_key,
        }

    def run(self, *arguments: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict("os.environ", self.variables()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(arguments))
        return Said(code, out.getvalue(), err.getvalue())

    def file(self, document: object) -> str:
        path = self.folder / "organization.yaml"
        path.write_text(json.dumps(document))
        return str(path)

    def apply(self, document: object, *options: str) -> Said:
        return self.run("apply", self.file(document), "--yes", *options)

    def export(self) -> dict[str, Any]:
        said = self.run("export")
        assert said.code == 0, said.err
        return said.document
