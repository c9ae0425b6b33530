"""The table of every resource of both stacks in docs/architecture.md, made from their graphs.

`make docs` writes it; a test fails while it is not what the program makes.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infra.config import ROOT
from offline.graph import Registered, StackGraph, record

DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- resources: written by `make docs` -->"
END = "<!-- resources: end -->"
STACKS = ("staging", "prod")


class NoPlaceError(Exception):
    """A document without the two markers between which the table stands."""


def table(graphs: Mapping[str, StackGraph]) -> str:
    """One line per component, with its resources' types and how many there are of each."""
    parts: dict[str, dict[str, Counter[str]]] = {}
    for stack, graph in graphs.items():
        for part, kind in _resources(graph.resources):
            parts.setdefault(part, {}).setdefault(stack, Counter())[kind] += 1
    total = {stack: sum(1 for _ in _resources(graph.resources)) for stack, graph in graphs.items()}
    head = [f"| Part | {' | '.join(f'{stack}: {total[stack]}' for stack in graphs)} |"]
    head += ["|---|" + "---|" * len(graphs)]
    return "\n".join(
        head + [_line(part, [parts[part].get(stack) for stack in graphs]) for part in sorted(parts)]
    )


def _resources(resources: Sequence[Registered]) -> Iterator[tuple[str, str]]:
    """(component's name, short type) of every resource; components themselves and providers are none."""
    names = {r.urn: r.type.rpartition(":")[2] for r in resources if not r.custom}
    for resource in resources:
        if resource.custom and not resource.type.startswith("pulumi:providers:"):
            yield names.get(resource.parent, "-"), resource.type.rpartition(":")[2]


def _line(part: str, counts: Sequence[Counter[str] | None]) -> str:
    """A second stack that has the same as the first says so in a word."""
    cells = [_cell(count) for count in counts]
    shown = [cells[0], *("the same" if cell == cells[0] else cell for cell in cells[1:])]
    return f"| {part} | {' | '.join(shown)} |"


def _cell(count: Counter[str] | None) -> str:
    if not count:
        return "-"
    return ", ".join(kind if number == 1 else f"{number} {kind}" for kind, number in sorted(count.items()))


def written(document: str, content: str, begin: str = BEGIN, end: str = END) -> str:
    """The document with `content` between the markers. Raises NoPlaceError."""
    before, begins, rest = document.partition(begin)
    _, ends, after = rest.partition(end)
    if not begins or not ends:
        raise NoPlaceError(f"the document has no place for the table: {begin} and {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def current(document: Path = DOCUMENT) -> tuple[str, str]:
    """The document as it is, and as it should be."""
    text = document.read_text()
    return text, written(text, table({stack: record(stack) for stack in STACKS}))


def main() -> int:
    found, wanted = current()
    DOCUMENT.write_text(wanted)
    print(f"{DOCUMENT.relative_to(ROOT)} {'is as it was' if found == wanted else 'is written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
