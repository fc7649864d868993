"""Lock, ledger insert, settling, newest rows: on a ledger of a million rows, beside their limits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from ops.local.database import create_database, give_logins, prepare_template
from ops.local.server import MIGRATOR, any_server
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


def measure() -> list[dict[str, object]]:
    """Median and p99 in milliseconds on loopback, beside the limit."""
    with any_server() as server:
        name = create_database(server, "bench_ledger", prepare_template(server))
        with closing(database.connect(server.dsn(MIGRATOR, name), name="bench")) as owner:
            owner.execute(HISTORY.encode(), {"job": JOB_NAME})
            owner.execute("VACUUM (ANALYZE) cron_execution_logs")
            with closing(database.connect(give_logins(server, name)["cron_runner"], name="bench")) as runner:
                return _rows(owner, runner)


def _rows(owner: Connection, runner: Connection) -> list[dict[str, object]]:
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
