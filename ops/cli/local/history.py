"""Ledger rows of past days for the local stack, so that `reminders history` has something to show. Deterministic."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import psycopg

from reminders.runs import JOB_NAME

INSERT = """
INSERT INTO public.cron_execution_logs
(job_name, trigger_source, event_id, scheduled_for, started_at, completed_at, duration_ms, assignments_evaluated,
 reminders_dispatched, status, http_status, error_message, consecutive_failure_count, created_at)
VALUES (%(job)s, 'schedule', %(event)s, %(tick)s, %(started)s, %(ended)s, %(ms)s, %(seen)s, %(sent)s, %(status)s,
        %(http)s, %(error)s, %(failures)s, %(started)s)
"""
ERROR = "SchedulerError: the scheduler answered 503"


def fill(connection: psycopg.Connection[Any], *, days: int, assignments: int, now: datetime) -> None:
    """One run for each tick of the last `days` days up to `now` (aware, UTC); two in a row fail every 17 days."""
    last = datetime.combine(now.date(), time(6), now.tzinfo)
    last -= timedelta(0 if last < now else 1)
    rows = [_row(last - timedelta(back), back, assignments) for back in range(days)]
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, rows)


def _row(tick: datetime, back: int, assignments: int) -> dict[str, Any]:
    failures = {9: 2, 10: 1}.get(back % 17, 0)
    late = back % 17 == 8  # the day after, which sends what was late
    ms = 180 + back * 37 % 90 + (60 if late else 0)
    started = tick + timedelta(seconds=1)
    return {
        "job": JOB_NAME,
        "event": f"generated-{back}",
        "tick": tick,
        "started": started,
        "ended": started + timedelta(milliseconds=ms),
        "ms": ms,
        "seen": 0 if failures else assignments * 19 // 20,
        "sent": 0 if failures else assignments * (3 + back * 7 % 4 + (9 if late else 0)) // 100,
        "status": "failed" if failures else "success",
        "http": 503 if failures else None,
        "error": ERROR if failures else None,
        "failures": failures,
    }
