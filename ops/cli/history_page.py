"""
The history as one HTML file: two charts and a table, nothing fetched from anywhere, no script.

The charts are SVG, drawn here. They keep their height and stretch in width (preserveAspectRatio="none"), so that
30 days fill a phone and 365 a screen; text is HTML and does not stretch with them. Colour never tells alone: a failed
day is a bar of full height, and named in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template

from ops.cli.commands.history import status_of
from ops.cli.ledger import Day
from reminders.text import printable

TEMPLATE = Path(__file__).with_name("history_page.html")
HEIGHT = 100  # of a chart, in units of its own
GAP = 0.2  # of a day's width


def page(days: list[Day], title: str, now: datetime) -> str:
    """The whole file. `days` are oldest first, without holes."""
    kinds = [status_of(day) for day in days]
    runs = [day.duration_ms for day in days if day.duration_ms is not None]
    values = {
        "title": escape(printable(title)),
        "made": f"{now:%Y-%m-%d %H:%M} UTC",
        "first": str(days[0].day),
        "last": str(days[-1].day),
        "succeeded": str(kinds.count("success")),
        "failed": str(kinds.count("failed")),
        "none": str(kinds.count("none") + kinds.count("skipped")),
        "dispatched": f"{sum(day.dispatched for day in days):,}",
        "median": f"{sorted(runs)[len(runs) // 2]:,} ms" if runs else "-",
        "dispatched_top": f"{_most(days, _dispatched):,}",
        "dispatched_chart": _chart(days, _dispatched, "notifications"),
        "duration_top": f"{_most(days, _duration):,} ms",
        "duration_chart": _chart(days, _duration, "ms"),
        "rows": "\n".join(_row(day) for day in reversed(days)),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _dispatched(day: Day) -> int:
    return day.dispatched


def _duration(day: Day) -> int:
    return day.duration_ms or 0


def _most(days: list[Day], value: Callable[[Day], int]) -> int:
    return max((value(day) for day in days), default=0)


def _chart(days: list[Day], value: Callable[[Day], int], unit: str) -> str:
    most = _most(days, value) or 1
    bars = "".join(_bar(index, day, value(day), most, unit) for index, day in enumerate(days))
    view = f'viewBox="0 0 {len(days)} {HEIGHT}" preserveAspectRatio="none"'
    return f'<svg {view} role="img" aria-label="{unit} a day">{bars}</svg>'


def _bar(index: int, day: Day, value: int, most: int, unit: str) -> str:
    status = status_of(day)
    # A failed day has a bar of its own, from top to bottom: that nothing went out must be seen.
    height = HEIGHT if status == "failed" else max(value / most * HEIGHT, 1 if value else 0)
    told = f"{day.day}: {value:,} {unit}, {status}"
    place = f'x="{index + GAP / 2:.2f}" y="{HEIGHT - height:.1f}" width="{1 - GAP:.2f}" height="{height:.1f}"'
    return f'<rect class="{status}" {place}><title>{told}</title></rect>'


def _row(day: Day) -> str:
    status = status_of(day)
    duration = "-" if day.duration_ms is None else f"{day.duration_ms:,}"
    words = {"none": "no run"}.get(status, status)
    cells = f"<td>{day.day}</td><td class='{status}'>{words}</td><td>{day.dispatched:,}</td><td>{duration}</td>"
    return f"<tr>{cells}</tr>"
