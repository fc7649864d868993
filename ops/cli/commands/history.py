"""`reminders history`: duration, notifications and status of each day."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, timedelta

import click

from ops.cli import ledger, options, output
from ops.cli.ledger import Day, fill_missing_days, status_of
from ops.cli.targets.base import Target
from ops.tables import styled, table

BAR = 30
EIGHTHS = " ▏▎▍▌▋▊▉█"
SIGNS = {"failed": ("✗", "red"), "success": ("✓", "green"), "skipped": ("·", "yellow"), "none": (" ", "dim")}


@click.command("history")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How many days, up to today.")
@options.with_target
@options.as_json
def command(target: Target, days: int, as_json: bool) -> None:
    """
    Show each day's status, notifications and longest run, with bars.

    The newest day is the last line. A day with at least one successful run counts as a success.
    """
    with target.connect() as connection:
        today = ledger.overview(connection).now.astimezone(UTC).date()
        found = ledger.days(connection, today - timedelta(days - 1))
    every = fill_missing_days(found, today, days)
    if as_json:
        output.show_json([{**asdict(day), "status": status_of(day)} for day in every])
    else:
        _show(every)


def _show(days: list[Day]) -> None:
    most = max((day.dispatched for day in days), default=0) or 1
    longest = max((day.duration_ms or 0 for day in days), default=0) or 1
    rows = [_row(day, most, longest) for day in days]
    bars = table(["day (UTC)", "", "sent", "", "ms", ""], rows)
    for column in (2, 4):
        bars.columns[column].justify = "right"
    output.out().print(bars)
    kinds = [status_of(day) for day in days]
    counted = ", ".join(f"{kinds.count(kind)} {words}" for kind, words in _KINDS.items() if kinds.count(kind))
    output.out().print()
    output.out().print(f"{counted}; {sum(day.dispatched for day in days):,} notifications.")


_KINDS = {"success": "days succeeded", "failed": "failed", "skipped": "only skipped", "none": "without a run"}


def _row(day: Day, most: int, longest: int) -> list[object]:
    status = status_of(day)
    sign, colour = SIGNS[status]
    if status == "none":
        return [str(day.day), "", "", "", "", ""]
    duration = day.duration_ms or 0
    mark = styled(sign, colour)
    return [
        str(day.day),
        mark,
        f"{day.dispatched:,}",
        styled(bar(day.dispatched, most), "cyan"),
        "-" if day.duration_ms is None else f"{duration:,}",
        styled(bar(duration, longest), "magenta"),
    ]


def bar(value: int, most: int) -> str:
    """A bar of at most `BAR` characters, in eighths; any value above zero is visible."""
    eighths = max(round(value / most * BAR * 8), 1 if value else 0)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + EIGHTHS[rest]).rstrip()
