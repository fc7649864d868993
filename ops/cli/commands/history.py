"""`reminders history`: durations, dispatches and statuses a day, as a picture."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from ops.cli import ledger, options, output
from ops.cli.ledger import Day
from ops.cli.targets import Target

BAR = 30
EIGHTHS = " ▏▎▍▌▋▊▉█"
SIGNS = {"failed": ("✗", "red"), "success": ("✓", "green"), "skipped": ("·", "yellow"), "none": (" ", "dim")}


@click.command("history")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How many, up to today.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with charts instead.")
@options.with_target
@options.as_json
def command(target: Target, days: int, html: Path | None, as_json: bool) -> None:
    """
    The days of the ledger: how long, how many, how it went.

    In the terminal as bars; with --html as one file that needs nothing else, to be mailed or opened on a phone.
    """
    with target.connect() as connection:
        today = ledger.overview(connection).now.astimezone(UTC).date()
        found = ledger.days(connection, today - timedelta(days - 1))
    every = filled(found, today, days)
    if html:
        from ops.cli.history_page import page

        html.write_text(page(every, target.title, datetime.now(UTC)), encoding="utf-8")
    if as_json:
        output.show_json([{**asdict(day), "status": status_of(day)} for day in every])
    elif html:
        output.out().print(f"Written to {html}.", soft_wrap=True)
    else:
        _show(every)


def filled(found: list[Day], today: date, days: int) -> list[Day]:
    """One for each day, oldest first, those without a run as well."""
    by_day = {day.day: day for day in found}
    dates = [today - timedelta(back) for back in reversed(range(days))]
    return [by_day.get(day, Day(day)) for day in dates]


def status_of(day: Day) -> str:
    """A day is what came of it in the end: a success heals its failures."""
    if day.succeeded:
        return "success"
    if day.failed:
        return "failed"
    return "skipped" if day.skipped or day.running else "none"


def _show(days: list[Day]) -> None:
    most = max((day.dispatched for day in days), default=0) or 1
    longest = max((day.duration_ms or 0 for day in days), default=0) or 1
    rows = [_row(day, most, longest) for day in days]
    table = output.table(["day (UTC)", "", "sent", "", "ms", ""], rows)
    for column in (2, 4):
        table.columns[column].justify = "right"
    output.out().print(table)
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
    mark = output.styled(sign, colour)
    return [
        str(day.day),
        mark,
        f"{day.dispatched:,}",
        output.styled(bar(day.dispatched, most), "cyan"),
        "-" if day.duration_ms is None else f"{duration:,}",
        output.styled(bar(duration, longest), "magenta"),
    ]


def bar(value: int, most: int) -> str:
    """A bar of at most `BAR` characters, to the eighth; what is not nothing can be seen."""
    eighths = max(round(value / most * BAR * 8), 1 if value else 0)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + EIGHTHS[rest]).rstrip()
