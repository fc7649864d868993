"""The ledger's rows, compared with the model's runs."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from tests.simulation.model import DAY, Run
from tests.simulation.situation import Situation, check_equal


def compare_ledger(situation: Situation) -> None:
    """The rows of the last days, one by one. The model's runs get the ids of their rows."""
    since_day = datetime.combine(situation.today - 5 * DAY, time(), UTC)
    rows = situation.world.all(
        """
        SELECT id, event_id, scheduled_for, trigger_source, status, consecutive_failure_count, note, error_message,
            reminders_dispatched
        FROM cron_execution_logs WHERE started_at >= %s ORDER BY started_at
        """,
        since_day,
    )
    runs = [run for run in situation.model.runs if run.started >= since_day]
    check_equal("rows of the ledger", [_of_run(run) for run in runs], [_of_row(row) for row in rows])
    for run, row in zip(runs, rows, strict=True):
        run.id = row["id"]
        if run.dispatched is not None:
            check_equal("dispatched by a run", run.dispatched, row["reminders_dispatched"])


def _of_run(run: Run) -> tuple[object, ...]:
    tick = None if run.event is None else run.tick
    return (run.event, tick, run.status, run.failures, run.note, run.abandoned)


def _of_row(row: dict[str, Any]) -> tuple[object, ...]:
    event, failures = row["event_id"], row["consecutive_failure_count"]
    tick = None if event is None else row["scheduled_for"].astimezone(UTC)
    abandoned = (row["error_message"] or "").startswith("abandoned:")
    return (event, tick, row["status"], failures, row["note"], abandoned)
