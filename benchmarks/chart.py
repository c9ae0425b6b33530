"""Draws the figures that `benchmarks.gateway --json` has kept, as an SVG for the docs.

    python -m benchmarks.chart docs/benchmarks.json docs/benchmarks.svg

Bars are of processor time; they are logarithmic, since a peer's would leave the others none to see.
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

SHOWN = {
    "bare forwarder": "Bare forwarder",
    "gateway, hits": "Gateway, answer from the cache",
    "gateway, not cacheable": "Gateway, not cacheable",
    "gateway, looked up and kept": "Gateway, everything on",
    "LiteLLM": "LiteLLM",
    "LiteLLM, looked up and kept": "LiteLLM, cache on",
}
"""Targets by name, as the picture calls them, in its order; those that were not measured are left out."""

OURS = "Gateway"
WIDTH, LABEL_WIDTH, FIGURES_WIDTH = 720, 210, 210
ROW_HEIGHT, BAR_HEIGHT, TOP, BOTTOM = 30, 18, 44, 34


def chart(kept: Mapping[str, Any]) -> str:
    """The picture. kept: what `benchmarks.gateway` has written."""
    rows = [(shown, kept["targets"][name]) for name, shown in SHOWN.items() if name in kept["targets"]]
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    most = max(result["cpu_us"] for _, result in rows)
    least = min(result["cpu_us"] for _, result in rows) / 2
    widest = WIDTH - LABEL_WIDTH - FIGURES_WIDTH
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="26" font-size="15" font-weight="600" fill="#1f2328">'
        "Processor time of one request, one worker</text>",
    ]
    for number, (shown, result) in enumerate(rows):
        y = TOP + ROW_HEIGHT * number
        width = widest * math.log(result["cpu_us"] / least) / math.log(most / least)
        color = "#2f6fed" if shown.startswith(OURS) else "#9aa4b2"
        middle = y + ROW_HEIGHT / 2
        figures = f"{result['cpu_us']:,.0f} µs, {result['requests_per_s']:,.0f} requests/s"
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{middle + 4:g}" text-anchor="end" fill="#1f2328">'
            f"{escape(shown)}</text>",
            f'<rect x="{LABEL_WIDTH}" y="{middle - BAR_HEIGHT / 2:g}" width="{width:.1f}" '
            f'height="{BAR_HEIGHT}" rx="3" fill="{color}"/>',
            f'<text x="{LABEL_WIDTH + width + 8:.1f}" y="{middle + 4:g}" fill="#57606a">{figures}</text>',
        ]
    measured = f"{kept['date']}, Python {kept['python']}, {kept['cores']} cores. Bars are logarithmic."
    parts += [f'<text x="16" y="{height - 12}" font-size="11" fill="#57606a">{measured}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def main() -> int:
    if len(sys.argv) != 3:
        print("Say where the figures are and where to draw: python -m benchmarks.chart FILE.json FILE.svg")
        return 2
    Path(sys.argv[2]).write_text(chart(json.loads(Path(sys.argv[1]).read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
