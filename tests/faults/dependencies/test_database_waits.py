"""PostgreSQL makes the scheduler wait: locked, dead-locked, out of date, too slow. Each wait is a real one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from ops.local.server import Server
from reminders.database import Connection
from reminders.errors import DeadlineExceeded
from reminders.limits import LIMITS
from tests.database_settings import setting
from tests.factories import TODAY
from tests.faults.dependencies.days import DUE, Days
from tests.faults.dependencies.faulty_service import Call, FaultyService, all_is_well
from tests.faults.dependencies.impatient_scheduler import LOCK_SECONDS
from tests.helpers.cases import first
from tests.helpers.waiting import eventually

COPY = """
    INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
    SELECT id, peer_mentor_id, 'reminder', coalesce(last_contact_date, assigned_at::date), 0
    FROM assignments WHERE id = %s
"""
SCHEDULER_BEFORE_A_LOCK = """
    SELECT FROM pg_locks JOIN pg_stat_activity AS session USING (pid)
    WHERE NOT granted AND session.application_name = 'reminders-scheduler' AND session.datname = current_database()
"""


@pytest.fixture
def other_session(server: Server, database: str) -> Iterator[Connection]:
    """Another session, in a transaction; as the superuser, who alone may set deadlock_timeout."""
    with psycopg.connect(server.dsn(server.superuser, database)) as connection:
        yield connection
        connection.rollback()


def waits(watcher: Connection) -> bool:
    """Whether the scheduler waits for a lock."""
    return bool(watcher.execute(SCHEDULER_BEFORE_A_LOCK).fetchall())


def meanwhile(days: Days, act: Callable[[], None]) -> dict[str, object]:
    """A run, and what another session does as soon as the run waits for a lock."""
    with days.stack.connect() as watcher, ThreadPoolExecutor() as pool:

        def watch() -> None:
            assert eventually(lambda: waits(watcher))
            act()

        watching = pool.submit(watch)
        summary = days.expect_success()
        watching.result()
    return summary


def test_table_that_is_locked_for_a_moment(days: Days, other_session: Connection) -> None:
    """A batch that runs into its lock timeout is tried again and succeeds: no assignment is skipped."""

    def let_one_try_fail() -> None:
        time.sleep(LOCK_SECONDS * 1.2)
        other_session.rollback()

    other_session.execute("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
    summary = meanwhile(days, let_one_try_fail)
    assert (DUE, 0) == (summary["reminders_dispatched"], summary["assignments_failed"])
    days.check_final_state()


def test_table_that_stays_locked(days: Days, other_session: Connection) -> None:
    """The run ends in time as a failure, and the next one reminds all whom it could not."""
    days.stack.limits = replace(LIMITS, reserve=1.0, answer_margin=0.5)
    other_session.execute("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
    days.expect_failure(DeadlineExceeded, "no time was left|did not answer in time", seconds=3.5)
    other_session.rollback()
    days.check_final_state()


def test_deadlock(
    days: Days, server: Server, database: str, owner: Connection, other_session: Connection, assignments: list[UUID]
) -> None:
    """The dispatch and a script wait for each other; the dispatch is rolled back and repeated."""
    first, second = assignments[0], assignments[-1]
    log = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    def wait_for_the_dispatch() -> None:
        other_session.execute(COPY, [first])
        other_session.commit()

    with setting(server, database, f"deadlock_timeout = '{LOCK_SECONDS * 800:.0f}ms'"):
        other_session.execute("SET deadlock_timeout = '10s'")
        other_session.execute(COPY, [second])
        summary = meanwhile(days, wait_for_the_dispatch)
    assert eventually(lambda: [(1,)] == owner.execute(log).fetchall())
    assert (DUE - 2, 0) == (summary["reminders_dispatched"], summary["assignments_failed"])
    days.check_final_state()


@pytest.mark.parametrize("isolation", first(1, ["repeatable read", "serializable"]))
def test_serialization_failure(
    days: Days,
    faulty: FaultyService,
    server: Server,
    database: str,
    other_session: Connection,
    assignments: list[UUID],
    isolation: str,
) -> None:
    """Another session changes an assignment after the batch's snapshot: the batch is repeated on a new one."""

    def hold_the_fence(call: Call) -> None:
        other_session.execute("SELECT FROM cron_execution_logs WHERE id = %s FOR UPDATE", [call.body["run_id"]])
        all_is_well(call)

    def log_contact() -> None:
        other_session.execute("UPDATE assignments SET last_contact_date = %s WHERE id = %s", [TODAY, assignments[0]])
        other_session.commit()

    faulty.next(hold_the_fence)
    with setting(server, database, f"default_transaction_isolation = '{isolation}'", "reminder_scheduler"):
        summary = meanwhile(days, log_contact)
    assert (DUE - 1, 0) == (summary["reminders_dispatched"], summary["assignments_failed"])
    days.check_final_state()


@pytest.fixture
def hanging(owner: Connection, assignments: list[UUID]) -> None:
    """A trigger of the application's sleeps on one assignment."""
    owner.execute(
        f"""
        CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN new; END $$;
        CREATE TRIGGER sleep BEFORE INSERT ON notifications FOR EACH ROW
        WHEN (new.assignment_id = '{assignments[2]}') EXECUTE FUNCTION sleep();
        """.encode()
    )


@pytest.mark.parametrize("call_budget", first(1, [60.0, 0.2]))
@pytest.mark.usefixtures("hanging")
def test_row_that_hangs(days: Days, owner: Connection, call_budget: float) -> None:
    """It is found by halving and skipped, also when a call has time for one statement only; the rest goes out."""
    days.stack.limits = replace(LIMITS, call_budget=call_budget)
    summary = days.expect_success()
    assert (DUE - 1, 1) == (summary["reminders_dispatched"], summary["assignments_failed"])
    owner.execute("DROP FUNCTION sleep() CASCADE")
    assert 1 == days.expect_success()["reminders_dispatched"]
    days.check_final_state()
