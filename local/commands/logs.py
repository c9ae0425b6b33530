"""`logs`: what tasks and components of a stack wrote."""

import time
from collections.abc import Iterator
from pathlib import Path

from local.face import Face
from local.state import StackFolder

FOLLOW_INTERVAL_S = 0.2


def logs(folder: StackFolder, face: Face, names: list[str], lines: int, follow: bool) -> int:
    """names: of logs, all if empty. lines: of each at most. Returns the exit code."""
    known = {path.stem: path for path in _files(folder)}
    if unknown := [name for name in names if name not in known]:
        face.fail(f"no log {', '.join(unknown)}; there are: {', '.join(sorted(known)) or 'none'}")
        return 1
    if not known and not follow:
        face.fail(f"no logs yet of {folder.stack}")
    offsets: dict[Path, int] = {}
    for path in _wanted(folder, names):
        text = path.read_bytes()
        offsets[path] = len(text)
        for line in text.decode(errors="replace").splitlines()[-lines:]:
            face.show_log_line(path.stem, line)
    while follow:
        for path in _wanted(folder, names):
            for line in _added(path, offsets):
                face.show_log_line(path.stem, line)
        time.sleep(FOLLOW_INTERVAL_S)
    return 0


def _files(folder: StackFolder) -> list[Path]:
    return sorted(folder.logs.glob("*.log")) if folder.logs.exists() else []


def _wanted(folder: StackFolder, names: list[str]) -> list[Path]:
    return [path for path in _files(folder) if not names or path.stem in names]


def _added(path: Path, offsets: dict[Path, int]) -> Iterator[str]:
    """The complete lines that were added since the last look."""
    with path.open("rb") as file:
        file.seek(offsets.get(path, 0))
        complete, newline, _ = file.read().rpartition(b"\n")
    if newline:
        offsets[path] = offsets.get(path, 0) + len(complete) + 1
        yield from complete.decode(errors="replace").splitlines()
