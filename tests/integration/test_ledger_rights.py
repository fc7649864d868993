"""What a leaked password of cron_runner cannot do: choose times and counts, take keys, make the job fall silent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY
from tests.alerting import FAILURE, alerts
from tests.contacts import one
from tests.factories import add_run, runs
from tests.helpers.cases import one_of_each, table
from tests.helpers.connections import AsRole
from tests.helpers.waiting import eventually

ROW = {"job_name": "assignment-reminder-cron", "trigger_source": "schedule", "status": "running"}


@pytest.fixture
def runner(as_role: AsRole) -> Connection:
    return as_role("cron_runner")


def insert(connection: Connection, **columns: Any) -> None:
    """A timedelta is from now: a moment that is computed when tests are collected may be allowed minutes later."""
    values: dict[str, Any] = {**ROW, "scheduled_for": timedelta(0), **columns}
    values = {name: datetime.now(UTC) + it if isinstance(it, timedelta) else it for name, it in values.items()}
    marks = ", ".join(["%s"] * len(values))
    statement = f"INSERT INTO cron_execution_logs ({', '.join(values)}) VALUES ({marks})"
    connection.execute(statement.encode(), list(values.values()))


@table(
    "columns",
    [
        {"status": "success", "completed_at": timedelta(0)},
        {"status": "failed", "completed_at": timedelta(0)},
        {"status": "skipped", "completed_at": timedelta(days=1)},
        {"scheduled_for": timedelta(minutes=10)},
        {"scheduled_for": -timedelta(days=8)},
        {"started_at": timedelta(days=1)},
        {"created_at": timedelta(0)},
        {"id": uuid4()},
        {"consecutive_failure_count": 1_000},
        {"assignments_evaluated": 1},
    ],
    ids="-".join,
)
def test_row_that_says_what_is_not_its_to_say(runner: Connection, owner: Connection, columns: dict[str, Any]) -> None:
    """A row stands for a scheduled time of now, and is 'running' or 'skipped'; all else is the database's."""
    with pytest.raises(errors.InsufficientPrivilege):
        insert(runner, **columns)
    assert [] == runs(owner)


@pytest.mark.parametrize(
    ("status", "completed"),
    [("skipped", "now()"), ("success", "now() + interval '1 day'"), ("success", "'2020-01-01'")],
)
def test_result_that_says_when_it_likes(runner: Connection, status: str, completed: str) -> None:
    """A run is settled as success or failure, now."""
    insert(runner)
    with pytest.raises(errors.InsufficientPrivilege):
        runner.execute(f"UPDATE cron_execution_logs SET status = '{status}', completed_at = {completed}".encode())


def write(connection: Connection, kind: str, run: UUID | None = None, tick: datetime | None = None) -> bool:
    row = connection.execute(
        "SELECT write_alert(%s, %s, %s, %s, %s)", [kind, run, tick, Jsonb(FAILURE.payload()), ["slack"]]
    ).fetchone()
    return bool(row and row[0])


ENDED = {"failure": "failed", "repeat": "failed", "recovery": "success"}


RUNS = [(kind, status) for kind in ENDED for status in ("running", "success", "failed", "skipped", None)]


@pytest.mark.parametrize(
    ("kind", "status"), one_of_each({(kind, status): ENDED[kind] == status and kind for kind, status in RUNS})
)
def test_alert_about_a_run(runner: Connection, owner: Connection, kind: str, status: str | None) -> None:
    """Its key is the run's, and only a run that ended as the alert says can have it: no key can be taken before."""
    run_id = add_run(owner, status) if status else uuid4()
    if ENDED[kind] == status:
        assert write(runner, kind, run_id)
        assert [(kind, f"{kind}:{run_id}")] == alerts(owner)
        return
    with pytest.raises(errors.InvalidParameterValue):
        write(runner, kind, run_id)
    assert [] == alerts(owner)


def test_overrun_of_a_run_that_has_ended(runner: Connection, owner: Connection) -> None:
    """It ended between the watchdog's look and the alert: nothing is written."""
    assert not write(runner, "overrun", add_run(owner, "success"))
    assert write(runner, "overrun", add_run(owner, "running"))


def test_missed_tick_to_come(runner: Connection, owner: Connection) -> None:
    """The key of a scheduled time that has not passed cannot be taken."""
    for tick in (datetime.now(UTC) + timedelta(minutes=1), None):
        with pytest.raises(errors.InvalidParameterValue):
            write(runner, "missed_run", tick=tick)
    assert write(runner, "missed_run", tick=datetime(2026, 11, 21, 7, tzinfo=UTC))
    assert [("missed_run", "missed_run:2026-11-21T07:00:00Z")] == alerts(owner)


@table(
    "statement",
    [
        "INSERT INTO cron_alerts (kind, dedupe_key, payload) VALUES ('failure', 'failure:x', '{}')",
        "INSERT INTO cron_alert_deliveries (alert_id, channel) SELECT gen_random_uuid(), 'slack'",
        "UPDATE cron_alerts SET dedupe_key = 'x'",
    ],
)
def test_outbox_beside_its_function(runner: Connection, statement: str) -> None:
    """Alerts are written by the function alone."""
    with pytest.raises(errors.InsufficientPrivilege):
        runner.execute(statement.encode())


def test_delivery_put_off_for_ever(runner: Connection, owner: Connection) -> None:
    """An alert cannot be put off for longer than a channel may ask for."""
    assert write(runner, "failure", add_run(owner, "failed"))
    with pytest.raises(errors.InsufficientPrivilege):
        runner.execute("UPDATE cron_alert_deliveries SET next_attempt_at = now() + interval '2 days'")


def test_holder_of_the_run_lock(runner: Connection, as_role: AsRole) -> None:
    """The function reports this lock alone, whatever kind of lock it is, and who holds it."""
    holder = as_role("contact_admin_api")
    holder.execute("SELECT pg_advisory_lock(4711)")
    # Two integers of the same bits are the key of another lock.
    holder.execute("SELECT pg_advisory_lock((%(key)s >> 32)::int, (%(key)s << 32 >> 32)::int)", {"key": LOCK_KEY})
    assert [] == runner.execute("SELECT * FROM run_lock_holder()").fetchall()
    holder.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
    (found,) = runner.execute("SELECT pid, role, since IS NOT NULL FROM run_lock_holder()").fetchall()
    assert (holder.info.backend_pid, "contact_admin_api") == found[:2]


WAITS = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def test_session_that_waits_for_the_run_lock(runner: Connection, owner: Connection, as_role: AsRole) -> None:
    """It is not the holder, in whichever order PostgreSQL lists the two."""
    sessions = [as_role("contact_admin_api") for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        for holder, waiter in (sessions, sessions[::-1]):
            holder.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
            waiting = pool.submit(waiter.execute, "SELECT pg_advisory_lock(%s)", [LOCK_KEY])
            assert eventually(lambda: one(owner, WAITS) == 1)
            found = one(runner, "SELECT pid FROM run_lock_holder()")
            holder.execute("SELECT pg_advisory_unlock_all()")
            waiting.result(30).connection.execute("SELECT pg_advisory_unlock_all()")
            assert holder.info.backend_pid == found
