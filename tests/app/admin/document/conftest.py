"""The command, pointed at an organization of a test's own."""

from pathlib import Path

import pytest

from tests.app.admin.document.command import Command
from tests.app.admin.people import People


@pytest.fixture
def command(people: People, tmp_path: Path) -> Command:
    return Command(people, tmp_path)
