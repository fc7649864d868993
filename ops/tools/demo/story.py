"""
The demo: six days of the service, on generated assignments.

The days lie in the past, because only a dry run evaluates a future day: the first one is a week ago.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import psycopg

from ops.local.seed import seed
from ops.local.stack import LocalStack
from ops.tools.demo import alerts, messages
from ops.tools.demo.play import Play
from reminders.runs.lock import LOCK_KEY

LEDGER = """
SELECT to_char(started_at, 'HH24:MI:SS'), to_char(scheduled_for, 'MM-DD HH24:MI'), trigger_source, status,
       left(coalesce(note, error_message), 34),
       assignments_evaluated, reminders_dispatched, assignments_failed, duration_ms
FROM cron_execution_logs ORDER BY started_at
"""
# The expected result, computed without any of the scheduler's SQL.
DUE_BY_ORGANISATION = """
SELECT 'organisation ' || row_number() OVER (ORDER BY o.reminder, o.org_id), o.reminder, o.escalation,
       count(*) FILTER (WHERE a.status = 'open'),
       count(*) FILTER (WHERE a.status = 'open' AND a.gap >= o.reminder),
       count(*) FILTER (WHERE a.status = 'open' AND a.gap >= o.escalation AND a.coordinator_id IS NOT NULL)
FROM (
    SELECT DISTINCT a.org_id, coalesce(reminder_days, 10) AS reminder, coalesce(escalation_days, 20) AS escalation
    FROM assignments AS a LEFT JOIN org_settings USING (org_id)
) AS o
JOIN (
    SELECT *, %(day)s::date - coalesce(last_contact_date, (assigned_at AT TIME ZONE 'UTC')::date) AS gap
    FROM assignments
) AS a ON a.org_id = o.org_id
GROUP BY o.org_id, o.reminder, o.escalation ORDER BY 1
"""


def play_all(play: Play, assignments: int) -> None:
    """Play all acts, on a stack that is started for them."""
    play.act("Setting", "PostgreSQL set up as on Supabase, AWS by moto, the scheduler behind an HTTP endpoint")
    with LocalStack.start() as play.stack, play.stack.connect() as play.database:
        os.environ.update(play.stack.environment)
        seed(play.database, assignments=assignments, today=play.first_day)
        play.say(f"PostgreSQL {play.stack.server.version}, {assignments:,} assignments in 6 organisations")
        for act in (
            *(first_run, same_tick_again, messages.e_mails, overlap_and_next_day, look_ahead),
            *(alerts.failing_days, alerts.recovery, alerts.missed_tick, ledger),
        ):
            act(play)
    where_next(play)


def first_run(play: Play) -> None:
    """The first day: everything that is overdue."""
    play.act("Day 1, 06:00 UTC", json.dumps(play.tick(0)))
    began = monotonic()
    summary = play.stack.invoke(play.tick(0))
    took = (monotonic() - began) * 1000
    due = play.database.execute(DUE_BY_ORGANISATION, {"day": play.first_day}).fetchall()
    columns = ["", "reminder after", "escalation after", "open", "reminders", "escalations"]
    play.table(columns, due)
    play.say(f"{summary['assignments_evaluated']:,} assignments, time inside the function: {took:,.0f} ms")
    reminders, escalations = (sum(row[column] for row in due) for column in (4, 5))
    play.check("the run succeeded", "success", summary["status"])
    play.check(f"{reminders:,} mentors have a reminder", reminders, play.count("notifications", "kind = 'reminder'"))
    play.check(
        f"{escalations:,} escalations went to coordinators",
        escalations,
        play.count("notifications", "kind = 'escalation'"),
    )
    play.check("the ledger has the same count", reminders + escalations, summary["reminders_dispatched"])
    missing = summary.get("assignments_without_recipient", 0)
    play.say(f"  {missing} assignments have no coordinator to escalate to; each run counts them until they have one")


def same_tick_again(play: Play) -> None:
    """EventBridge delivers at least once."""
    play.act("The same event once more", "EventBridge and Lambda deliver at least once")
    before = play.count("notifications")
    summary = play.stack.invoke(play.tick(0))
    play.check("skipped as duplicate_tick", ("skipped", "duplicate_tick"), (summary["status"], summary["note"]))
    play.check("no notification was created twice", before, play.count("notifications"))


def overlap_and_next_day(play: Play) -> None:
    """Two processes at once, on the second day."""
    play.act("Day 2, and meanwhile a run by Test in the AWS console", "two processes at the same time")
    before = play.count("notifications")
    with play.stack.connect() as slow, slow.transaction():
        # The database is busy for a moment, so that the first run is still going when the second comes.
        slow.execute("LOCK TABLE assignments IN ACCESS EXCLUSIVE MODE")
        process = play.stack.invoke_process(play.tick(1))
        _wait_for_lock(play.database)
        second = play.stack.invoke({})
    out, err = process.communicate(timeout=30)
    first = json.loads(out) if process.returncode == 0 else {"status": err[-300:]}
    play.check("the second found the lock held", ("skipped", "advisory_lock_held"), (second["status"], second["note"]))
    play.check("the first succeeded", "success", first["status"])
    newly = _newly_due(play, play.first_day + timedelta(1))
    play.check(f"only what became due overnight was sent: {newly:,}", newly, play.count("notifications") - before)


def look_ahead(play: Play) -> None:
    """A dry run of tomorrow."""
    tomorrow = datetime.now(UTC).date() + timedelta(1)
    event = {"action": "run", "dry_run": True, "as_of": tomorrow.isoformat()}
    play.act("A dry run of tomorrow", json.dumps(event))
    before = (play.count("notifications"), play.count("cron_execution_logs"))
    summary = play.stack.invoke(event)
    named = summary["would_notify"][:3]
    play.table(
        ["would notify", "of assignment", "kind", "gap in days"],
        [(p["recipient_id"][:8] + "…", p["assignment_id"][:8] + "…", p["kind"], p["gap_days"]) for p in named],
    )
    play.say(f"… {summary['reminders_dispatched']:,} in all")
    play.check("it lists the notifications", True, len(named) > 0)
    play.check("it wrote nothing", before, (play.count("notifications"), play.count("cron_execution_logs")))


def ledger(play: Play) -> None:
    """One row per invocation."""
    play.act("The ledger", "cron_execution_logs: one row per invocation, whatever its outcome")
    rows = play.database.execute(LEDGER).fetchall()
    columns = ["started", "tick", "by", "status", "note or error", "seen", "sent", "failed", "ms"]
    play.table(columns, rows)
    play.check("one row for each invocation", 8, len(rows))
    play.check("nothing is left running", 0, play.count("cron_execution_logs", "status = 'running'"))
    play.check("the lock is free", 0, play.count("pg_locks", "locktype = 'advisory'"))


def where_next(play: Play) -> None:
    """What to read next."""
    play.act("Where to look next")
    play.say("  the story in code       functions/reminders/runs/lifecycle.py")
    play.say("  the one statement       functions/reminders/scheduling/scheduling.sql")
    play.say("  what is where           docs/architecture.md")
    play.say("  the tests               make test")


def _newly_due(play: Play, day: date) -> int:
    """Due on `day` but not the day before, by the expected result."""
    today = play.database.execute(DUE_BY_ORGANISATION, {"day": day}).fetchall()
    yesterday = play.database.execute(DUE_BY_ORGANISATION, {"day": day - timedelta(1)}).fetchall()
    return sum(sum(row[4:]) for row in today) - sum(sum(row[4:]) for row in yesterday)


def _wait_for_lock(database: psycopg.Connection[Any]) -> None:
    deadline = monotonic() + 10
    held = b"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = %s"
    while database.execute(held, [LOCK_KEY]).fetchone() is None:
        if monotonic() > deadline:
            raise RuntimeError("the run did not take its lock within 10 s")
        sleep(0.02)
