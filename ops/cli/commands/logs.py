"""`reminders logs`: the newest runs of the ledger, or the functions' logs."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ops.cli import function_log, ledger, options, output
from ops.cli.targets.base import FUNCTIONS, Target
from ops.tables import styled, table
from reminders.runs.history import Run

STATUSES = ("running", "success", "failed", "skipped")
COLOURS = {"success": "green", "failed": "red", "skipped": "yellow", "running": "cyan"}
COLUMNS = [
    "started (UTC)",
    "scheduled for",
    "by",
    "status",
    "seen",
    "sent",
    "not processed",
    "ms",
    "failures",
    "note or error",
]
LOG_COLUMNS = ["logged (UTC)", "function", "run", "what", "assignments"]
EVERY_SECONDS = 2.0
FOLLOWED = 50


@click.command("logs")
@click.option(
    "-n",
    "number",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How many runs, or with --functions how many lines.",
)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs with this status.")
@click.option("--follow", "-f", is_flag=True, help="Show new runs and changes until Ctrl-C.")
@click.option(
    "--functions", is_flag=True, help="Show warnings and errors of the cron, scheduler, watchdog and admin functions."
)
@click.option(
    "--hours", type=click.IntRange(1, 720), default=24, show_default=True, help="How many hours back --functions looks."
)
@options.with_target
@options.as_json
def command(
    target: Target, number: int, status: str | None, follow: bool, functions: bool, hours: int, as_json: bool
) -> None:
    """
    Show the newest runs of the ledger.

    With --json, each line is one run as a JSON object. With --follow, a run is shown when it starts and when it ends.
    With --functions, the newest warnings and errors of the functions' logs are shown instead of runs. They have the ids
    of assignments that were not processed, and the errors of runs that left no row in the ledger.
    """
    if functions:
        _show_log(target, number, datetime.now(UTC) - timedelta(hours=hours), as_json)
        return
    with target.connect() as connection:
        runs = ledger.runs(connection, number, status)
        _show(runs if not follow else runs[::-1], as_json)
        shown = {run.id: run.status for run in runs}
        while follow:
            time.sleep(EVERY_SECONDS)
            newest = ledger.runs(connection, FOLLOWED, status)
            news = [run for run in newest[::-1] if shown.get(run.id) != run.status and _is_news(run, runs)]
            if news:
                _show(news, as_json, header=False)
            shown |= {run.id: run.status for run in news}


def _show_log(target: Target, number: int, since: datetime, as_json: bool) -> None:
    found = [(function, line) for function in FUNCTIONS for line in target.log_lines(function, since)]
    newest = sorted(found, key=lambda pair: function_log.time_of(pair[1]) or since)[-number:]
    if as_json:
        for function, line in newest:
            output.show_json({"function": function, **line})
    elif newest:
        output.out().print(table(LOG_COLUMNS, [_log_row(*pair) for pair in newest]))
    else:
        output.out().print("The functions logged no warnings and no errors.")


def _log_row(function: str, line: dict[str, Any]) -> list[object]:
    failed = "errorType" in line
    what = [str(line.get("message", "")), str(line.get("reason", "")), function_log.error_of(line) if failed else ""]
    ids = ", ".join(function_log.ids_of(line))
    return [function_log.time_of(line), function, line.get("run_id"), ": ".join(filter(None, what)), ids or None]


def _is_news(run: Run, first_shown: list[Run]) -> bool:
    """Whether the run is not older than the runs that were shown first."""
    return not first_shown or run.started_at >= first_shown[-1].started_at


def _show(runs: list[Run], as_json: bool, header: bool = True) -> None:
    if as_json:
        for run in runs:
            output.show_json(asdict(run))
        return
    if not runs:
        output.out().print("No runs yet. `reminders run` starts one.")
        return
    newest = table(COLUMNS, [_row(run) for run in runs])
    newest.show_header = header
    output.out().print(newest)


def _row(run: Run) -> list[object]:
    return [
        run.started_at,
        f"{run.scheduled_for:%m-%d %H:%M}",
        run.trigger_source,
        styled(run.status, COLOURS[run.status]),
        run.assignments_evaluated,
        run.reminders_dispatched,
        run.assignments_failed,
        run.duration_ms,
        run.consecutive_failure_count,
        run.note or run.error_message,
    ]
