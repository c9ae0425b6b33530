"""Draws the figures that `benchmarks.gateway --json` has kept, as an SVG for the docs.

    python -m benchmarks.chart docs/benchmarks.json docs/benchmarks.svg

Bars are of processor time, and logarithmic: a peer's would leave the others none to see.
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SHOWN = {
    "bare forwarder": "Bare forwarder",
    "gateway, hits": "Gateway, hit in the cache",
    "gateway, not cacheable": "Gateway, not cacheable",
    "gateway, looked up and kept": "Gateway, everything on",
    "LiteLLM": "LiteLLM",
    "LiteLLM, looked up and kept": "LiteLLM, cache on",
}
"""Targets, and how the picture calls them, in its order; those that were not measured are left out."""

WIDTH, LABELS_WIDTH, FIGURES_WIDTH = 720, 210, 200
ROW_HEIGHT, BAR_HEIGHT, TOP, BOTTOM = 30, 18, 44, 34
PAPER, INK, PALE, OURS, OTHERS = "#ffffff", "#1f2328", "#57606a", "#2f6fed", "#9aa4b2"


def chart(kept: Mapping[str, Any]) -> str:
    """The picture. kept: what `benchmarks.gateway` has written."""
    rows = [(shown, kept["targets"][name]) for name, shown in SHOWN.items() if name in kept["targets"]]
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    svg = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}")
    svg.set("font-family", "system-ui, sans-serif")
    _rectangle(svg, 0, 0, WIDTH, height, PAPER)
    _text(svg, 16, 26, "Processor time of one request, one worker", INK, size=15)
    most = max(result["cpu_us"] for _, result in rows)
    least = min(result["cpu_us"] for _, result in rows) / 2
    for number, (shown, result) in enumerate(rows):
        middle = TOP + ROW_HEIGHT * number + ROW_HEIGHT / 2
        share = math.log(result["cpu_us"] / least) / math.log(most / least)
        width = share * (WIDTH - LABELS_WIDTH - FIGURES_WIDTH)
        color = OURS if shown.startswith("Gateway") else OTHERS
        _text(svg, LABELS_WIDTH - 8, middle + 4, shown, INK, anchor="end")
        _rectangle(svg, LABELS_WIDTH, middle - BAR_HEIGHT / 2, width, BAR_HEIGHT, color)
        figures = f"{result['cpu_us']:,.0f} µs, {result['requests_per_s']:,.0f} requests/s"
        _text(svg, LABELS_WIDTH + width + 8, middle + 4, figures, PALE)
    measured = f"{kept['date']}, Python {kept['python']}, {kept['cores']} cores. Bars are logarithmic."
    _text(svg, 16, height - 12, measured, PALE, size=11)
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _rectangle(svg: ElementTree.Element, x: float, y: float, width: float, height: float, fill: str) -> None:
    places = {"x": x, "y": y, "width": width, "height": height}
    ElementTree.SubElement(svg, "rect", {name: f"{of:g}" for name, of in places.items()}, fill=fill)


def _text(
    svg: ElementTree.Element,
    x: float,
    y: float,
    text: str,
    fill: str,
    *,
    size: int = 13,
    anchor: str = "start",
) -> None:
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "font-size": str(size), "text-anchor": anchor, "fill": fill}
    ElementTree.SubElement(svg, "text", attributes).text = text


def main() -> int:
    if len(sys.argv) != 3:
        print("Say where the figures are and where to draw: python -m benchmarks.chart FILE.json FILE.svg")
        return 2
    Path(sys.argv[2]).write_text(chart(json.loads(Path(sys.argv[1]).read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
