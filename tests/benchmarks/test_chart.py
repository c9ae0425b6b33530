"""The picture of the benchmark is of the figures beside it."""

import json
from pathlib import Path

from benchmarks.chart import SHOWN, chart

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEPT = json.loads((DOCS / "benchmarks.json").read_text())


def test_the_picture_in_the_docs_is_drawn_from_the_figures_beside_it() -> None:
    assert (DOCS / "benchmarks.svg").read_text() == chart(KEPT)


def test_what_was_not_measured_has_no_bar() -> None:
    without_peer = {name: result for name, result in KEPT["targets"].items() if "LiteLLM" not in name}
    drawn = chart({**KEPT, "targets": without_peer})
    assert all(f">{shown}<" in drawn for name, shown in SHOWN.items() if name in without_peer)
    assert "LiteLLM" not in drawn
