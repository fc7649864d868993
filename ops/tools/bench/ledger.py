"""
Statements beside their limits: lock and ledger on a ledger of a million rows, and the contact hook.

The contact hook is measured among 100,000 assignments, of which half have an open notification. Each of its inserts is
rolled back, and the time contains BEGIN and ROLLBACK.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from itertools import count

import psycopg

from ops.local.database import create_database, give_logins, prepare_template
from ops.local.seed import seed
from ops.local.server import MIGRATOR, Server, any_server
from ops.tools.bench import times
from reminders import database
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Policy
from reminders.database import Connection
from reminders.runs import JOB_NAME
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger
from reminders.runs.lock import RunLock
from reminders.runs.records import Outcome, RunStatus

ROUNDS = 200
HISTORY = """
INSERT INTO cron_execution_logs
(job_name, trigger_source, scheduled_for, started_at, completed_at, duration_ms, status, error_message,
 consecutive_failure_count)
SELECT %(job)s, 'schedule', t, t, t + interval '1 second', 1000, CASE WHEN n %% 7 <> 0 THEN 'failed' ELSE 'success' END,
       CASE WHEN n %% 7 <> 0 THEN 'x' END, CASE WHEN n %% 7 <> 0 THEN 1 ELSE 0 END
FROM generate_series(1, 1000000) AS n, LATERAL (SELECT now() - n * interval '1 hour' AS t) AS at
"""
NEWEST = "SELECT * FROM cron_execution_log ORDER BY triggered_at DESC LIMIT 10"
# A notification that the contact will resolve, for half of the assignments.
NOTIFY_HALF = """
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT id, peer_mentor_id, 'reminder', coalesce(last_contact_date, (assigned_at AT TIME ZONE 'UTC')::date), 10
FROM assignments WHERE abs(hashtext(id::text)) % 2 = 0
"""
# `rows` activities, two for each assignment, in no order.
LOG_CONTACTS = """
INSERT INTO activities (assignment_id, activity_type, recorded_date)
SELECT
    md5('assignment ' || 1 + (n + %(skip)s) / 2)::uuid,
    'meeting',
    (now() AT TIME ZONE 'UTC')::date - n %% 2
FROM generate_series(0, %(rows)s - 1) AS n ORDER BY md5(n::text)
"""
Row = dict[str, object]


def measure() -> list[Row]:
    """Median and p99 in milliseconds on loopback, beside the limit."""
    with any_server() as server:
        return [*_lock_and_ledger(server), *_contact_hook(server)]


def _lock_and_ledger(server: Server) -> list[Row]:
    name = create_database(server, "bench_ledger", prepare_template(server))
    with closing(database.connect(server.dsn(MIGRATOR, name), name="bench")) as owner:
        owner.execute(HISTORY.encode(), {"job": JOB_NAME})
        owner.execute("VACUUM (ANALYZE) cron_execution_logs")
        with closing(database.connect(give_logins(server, name)["cron_runner"], name="bench")) as runner:
            return _rows(owner, runner)


def _contact_hook(server: Server) -> list[Row]:
    name = create_database(server, "bench_contact_hook", prepare_template(server))
    with psycopg.connect(server.dsn(MIGRATOR, name), autocommit=True) as connection:
        seed(connection, assignments=100_000, today=datetime.now(UTC).date())
        connection.execute(NOTIFY_HALF)
        connection.execute("ANALYZE notifications")
        skips = count(0, 2)

        def log_contacts(rows: int) -> None:
            with connection.transaction(force_rollback=True):
                connection.execute(LOG_CONTACTS, {"rows": rows, "skip": next(skips)})

        one = times.taken(lambda: log_contacts(1), ROUNDS)
        many = times.taken(lambda: log_contacts(10_000), 20)
    return [
        times.row("contact hook, one activity", one, 10),
        times.row("contact hook, 10,000 activities in one statement", many, 2_000),
    ]


def _rows(owner: Connection, runner: Connection) -> list[Row]:
    outbox = Outbox(JOB_NAME, Policy(threshold=10**6), [], lambda: closing(runner))
    ledger = Ledger(runner, reconnect=lambda: runner, outbox=outbox)
    request = RunRequest("manual", scheduled_for=datetime.now(UTC))
    tick = ledger.tick(request)
    opened = [ledger.open(request, tick).id for _ in range(ROUNDS)]

    def lock() -> None:
        with RunLock(runner).lease(60):
            pass

    failure = Outcome(RunStatus.FAILED, error_message="x")
    todo: list[tuple[str, int, Callable[[], object]]] = [
        ("lock taken and freed", 50, lock),
        ("ledger insert", 100, lambda: ledger.open(request, tick)),
        (
            "settle, failures counted",
            100,
            lambda: ledger.settle(opened.pop(), failure),
        ),
        ("newest 10 rows", 10, lambda: owner.execute(NEWEST).fetchall()),
    ]
    return [times.row(what, times.taken(work, ROUNDS), limit) for what, limit, work in todo]
