"""Files that are replaced whole, so that a reader never sees half of one, and that only their owner reads."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` with `value`; mode 0600."""
    write_text(path, json.dumps(value, indent=1, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Replaces `path` with `text` by renaming over it; mode 0600."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def read_json(path: Path, default: Any) -> Any:
    """The value in `path`, or `default` where there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return default
