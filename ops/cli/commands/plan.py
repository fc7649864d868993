"""`reminders plan`: who would be notified on a day, counted by organisation."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import click

from ops.cli import options, output
from ops.cli.targets.base import Target
from ops.tables import table
from reminders.database import Connection
from reminders.scheduling.ids import AssignmentId
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import PLAN_LIMIT, DispatchRequest, DispatchResult, Shard

# An assignment gives at most two notifications, so that no batch's plan is cut.
BATCH = PLAN_LIMIT // 2


@click.command("plan")
@click.option("--as-of", type=options.Day(), help="The day (UTC), today by default. It may be in the future.")
@options.with_target
@options.as_json
def command(target: Target, as_of: date | None, as_json: bool) -> None:
    """
    Show how many notifications a day would send, per organisation.

    Runs the scheduler's own statement, in transactions that cannot write.
    """
    day = as_of or datetime.now(UTC).date()
    counts: dict[UUID, dict[str, int]] = defaultdict(lambda: {"reminder": 0, "escalation": 0})
    evaluated = missing = 0
    with target.connect() as connection, output.working(f"Evaluating every open assignment as of {day}"):
        for progress in _batches(connection, day):
            evaluated += progress.counts.evaluated
            missing += progress.counts.without_recipient
            for notice in progress.would_notify:
                counts[notice.org_id][notice.kind] += 1
    rows = sorted(((org, kinds["reminder"], kinds["escalation"]) for org, kinds in counts.items()), key=_most_first)
    _show(day, evaluated, missing, rows, as_json)


def _batches(connection: Connection, day: date) -> Any:
    """The result of each batch: a time budget of 0 makes each call one batch."""
    service = ReminderSchedulerService(connection, BATCH, time.monotonic)
    cursor: AssignmentId | None = None
    while True:
        progress: DispatchResult = service.work(DispatchRequest(None, day, Shard(), cursor, dry_run=True), 0)
        yield progress
        cursor = progress.next_cursor
        if cursor is None:
            return


def _most_first(row: tuple[UUID, int, int]) -> tuple[int, str]:
    return -row[1] - row[2], str(row[0])


def _show(day: date, evaluated: int, missing: int, rows: list[tuple[UUID, int, int]], as_json: bool) -> None:
    reminders, escalations = sum(row[1] for row in rows), sum(row[2] for row in rows)
    if as_json:
        names = ("org_id", "reminders", "escalations")
        totals = {"evaluated": evaluated, "reminders": reminders, "escalations": escalations, "no_recipient": missing}
        output.show_json({"as_of": day, **totals, "organisations": [dict(zip(names, r, strict=True)) for r in rows]})
        return
    console = output.out()
    console.print(f"As of {day}: {evaluated:,} open assignments, {reminders:,} reminders, {escalations:,} escalations.")
    if rows:
        console.print(table(["organisation", "reminders", "escalations"], rows))
    if missing:
        console.print(f"{missing:,} have no recipient (a coordinator is missing).")
