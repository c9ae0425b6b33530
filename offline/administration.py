"""Writes the table of administration calls in docs/administration.md: who may make each, or why none."""

import sys
from pathlib import Path

from app.admin.not_offered import NOT_OFFERED
from app.admin.offered import CALLS
from offline.resources import written

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "administration.md"
BEGIN = "<!-- calls: written by `make docs` -->"
END = "<!-- calls: end -->"
OURS = "; ours, not OpenAI's"


def table() -> str:
    """A line a call of the SDK, and of those that are ours, in the order of their names."""
    lines = {call.sdk: f"`{call.method} {call.path}` | {call.who}{OURS * call.ours}" for call in CALLS}
    lines |= {call.sdk: f"`{call.method} {call.path}` | not offered: {call.reason}" for call in NOT_OFFERED}
    head = ["| `client.admin.organization.` | Below /v1 | For |", "|---|---|---|"]
    return "\n".join(head + [f"| `{name}` | {line} |" for name, line in sorted(lines.items())])


def current() -> tuple[str, str]:
    """The document as it is, and as it should be."""
    text = DOCUMENT.read_text()
    return text, written(text, table(), BEGIN, END)


def main() -> int:
    found, wanted = current()
    DOCUMENT.write_text(wanted)
    print(f"{DOCUMENT.relative_to(ROOT)} {'is as it was' if found == wanted else 'is written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
