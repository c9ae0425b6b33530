"""The commands that messages tell people to run, in a form that runs as it is shown."""

import os
import shlex
import sys
from pathlib import Path

from infra.config import ROOT
from local.state import StackFolder

FOLDER = ROOT / ".local"
"""Where stacks keep their state and logs unless told otherwise."""


def python() -> str:
    """The interpreter that runs this, as short as it can be named from here."""
    try:
        relative = Path(sys.executable).relative_to(Path.cwd())
    except ValueError:
        return sys.executable
    return str(relative)


def command(verb: str, folder: StackFolder, *options: str) -> str:
    """`python -m local VERB STACK`, for the stack that lies in `folder`."""
    base = folder.path.parent
    where = () if base == FOLDER else ("--folder", os.fspath(base))
    return shlex.join([python(), "-m", "local", verb, folder.stack, *options, *where])
