"""
Time against assignments, all contenders, both axes logarithmic: build/bench.json as docs/performance.svg.

matplotlib lives in an environment of its own, for nothing else here needs it:
`python -m ops.tools.bench --picture` makes both, and runs this file there.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

TITLE = re.compile(r"Contenders at ([\d,]+) assignments, half due$")
MARKS = "oDs^vPX"


def main(results: str, picture: str) -> None:
    """Draw `results` (JSON) as `picture` (SVG)."""
    measured = json.loads(Path(results).read_text())
    # Text as text, and ids that are the same each time: a small file that changes only with the figures.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "reminders", "font.family": "sans-serif"})
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for mark, (name, points) in zip(MARKS, lines(measured).items(), strict=False):
        ours = name.startswith("this job")
        axes.plot(*zip(*points, strict=True), marker=mark, label=name, linewidth=2.5 if ours else 1.2)
    axes.set(xscale="log", yscale="log", xlabel="assignments, half of them due", ylabel="seconds")
    axes.set_title(f"One daily run ({measured['machine']})", fontsize=10)
    axes.grid(which="major", alpha=0.4)
    axes.legend(fontsize=8)
    figure.savefig(picture, metadata={"Date": None, "Creator": None})


def lines(measured: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    """Each contender's points: assignments and seconds."""
    found: dict[str, list[tuple[int, float]]] = {}
    for title, rows in measured.items():
        if size := TITLE.match(title):
            for row in rows:
                found.setdefault(row["contender"], []).append((int(size[1].replace(",", "")), row["seconds"]))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
