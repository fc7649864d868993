"""`reminders run`: a manual run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import click

from ops.cli import options, output
from ops.cli.errors import DONE, UNHEALTHY, WRONG_USE, CliError
from ops.cli.targets.base import Target
from ops.tables import styled, table
from reminders.errors import ReminderError

SHOWN = 10
# This machine's clock may be a little ahead of the database's.
CLOCKS_APART = timedelta(seconds=5)


@click.command("run")
@click.option("--dry-run", is_flag=True, help="Only show who would be notified. Writes nothing.")
@click.option("--as-of", type=options.Day(), help="The day (UTC) that gaps are counted to, as in 2026-11-21.")
@click.option("--wait/--no-wait", default=True, help="Wait for the result (default), or only start the run.")
@options.yes
@options.with_target
@options.as_json
def command(target: Target, dry_run: bool, as_of: date | None, wait: bool, yes: bool, as_json: bool) -> int:
    """
    Start a run now, or a dry run.

    You can always run again: no one is notified twice for the same gap. If another run is active, the new one ends as
    `skipped`. With --no-wait, Lambda retries a failed run twice, and each failure counts.
    """
    if as_of and as_of > datetime.now(UTC).date() and not dry_run:
        raise CliError(f"{as_of} has not begun (UTC).", "Only a dry run looks ahead: add --dry-run.", WRONG_USE)
    if dry_run and not wait:
        raise CliError("A dry run has only a result: --no-wait would discard it.", "Leave out --no-wait.", WRONG_USE)
    target.function_name("cron")  # a bare database has no function to run
    if target.requires_confirmation and not dry_run:
        output.confirm(f"Send all notifications that are due, on {target.title}?", yes)
    given = {"action": "run", "dry_run": dry_run or None, "as_of": as_of and as_of.isoformat()}
    event = {name: value for name, value in given.items() if value is not None}
    with output.working(f"{'A dry run' if dry_run else 'A run'} on {target.title}"):
        started = datetime.now(UTC)
        answer = target.invoke(event, wait=wait)
    if answer.error:
        raise CliError(f"The run failed. {answer.error}", _where_to_look(target, started, dry_run))
    if not wait:
        output.out().print("Started. `reminders logs --follow` shows its progress.")
        return DONE
    _show(answer.result, as_json)
    return UNHEALTHY if answer.result["status"] == "failed" else DONE


def _where_to_look(target: Target, started: datetime, dry_run: bool) -> str:
    """A failed run has a row in the ledger only if it could reach the database."""
    if not dry_run and _left_a_row(target, started):
        return "`reminders logs` shows the run; `reminders doctor` finds causes."
    return "It left no row in the ledger. `reminders logs --functions` shows its log; `reminders doctor` finds causes."


def _left_a_row(target: Target, started: datetime) -> bool:
    from ops.cli import ledger

    try:
        with target.connect() as connection:
            return ledger.failed_since(connection, started - CLOCKS_APART) > 0
    except (CliError, ReminderError):
        return False  # the operator's login fails as well


def _show(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.show_json(summary)
        return
    console = output.out()
    note = f" ({summary['note']})" if summary["note"] else ""
    console.print(styled(summary["status"], "bold"), note, sep="")
    names = ("run_id", "assignments_evaluated", "reminders_dispatched", "assignments_failed", "duration_ms")
    console.print(output.pairs([(name.replace("_", " "), summary[name]) for name in names]))
    planned = summary.get("would_notify")
    if planned:
        columns = ("kind", "gap_days", "assignment_id", "recipient_id")
        rows = [[notice[column] for column in columns] for notice in planned[:SHOWN]]
        console.print()
        console.print(table([column.replace("_", " ") for column in columns], rows))
        rest = summary["reminders_dispatched"] - len(rows)
        if rest > 0:
            console.print(f"... and {rest:,} more; `reminders plan` counts them by organisation.")
