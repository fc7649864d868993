"""
PostgreSQL is there and says no: it is read-only, or full.

Each refusal is PostgreSQL's own, made by a setting, but for the full disk: that would take a file system of its own,
and so a trigger raises its SQLSTATE.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from ops.local.server import Server, admin
from reminders.database import Connection
from reminders.errors import DatabaseError, SchedulerError
from tests.database_settings import setting
from tests.factories import runs
from tests.faults.dependencies.days import Days
from tests.faults.dependencies.faulty_service import Call, FaultyService
from tests.helpers.cases import first

END_THE_LEDGERS_SESSION = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'reminders-ledger' AND datname = current_database()
"""


def test_database_that_is_read_only(days: Days, server: Server, database: str) -> None:
    """No row can be written, so the channels get an alert at once; the next run does all."""
    with setting(server, database, "default_transaction_read_only = on"):
        days.expect_failure(DatabaseError, "ReadOnlySqlTransaction 25006", "unrecorded")
    days.check_final_state()


def test_read_only_for_the_scheduler_alone(days: Days, server: Server, database: str) -> None:
    """The run fails at once, with PostgreSQL's reason in its row; no assignment is skipped for it."""
    with setting(server, database, "default_transaction_read_only = on", "reminder_scheduler"):
        row = days.expect_failure(SchedulerError, "ReadOnlySqlTransaction 25006")
    assert row and (500, 0) == (row["http_status"], row["assignments_failed"])
    days.check_final_state()


def test_read_only_when_the_run_is_to_be_settled(
    days: Days, faulty: FaultyService, server: Server, database: str, owner: Connection
) -> None:
    """A failover to a replica: all is dispatched, the row stays running, and the next run settles it."""

    replica = ExitStack()

    def fail_over(call: Call) -> None:
        answer = call.hand_on()
        replica.enter_context(setting(server, database, "default_transaction_read_only = on"))
        with admin(server, database) as connection:
            connection.execute(END_THE_LEDGERS_SESSION)
        call.answer(answer.status_code, answer.content)

    faulty.next(fail_over)
    days.expect_failure(DatabaseError, "ReadOnlySqlTransaction 25006", "lost")
    assert "running" == runs(owner)[-1]["status"]
    replica.close()
    assert 0 == days.expect_success()["reminders_dispatched"]
    days.check_final_state()


@contextmanager
def full(owner: Connection, table: str, when: str) -> Iterator[None]:
    """A trigger raises what PostgreSQL raises when its disk is full."""
    owner.execute(
        f"""
        CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER is_full BEFORE {when} ON {table} FOR EACH ROW EXECUTE FUNCTION is_full();
        """.encode()
    )
    yield
    owner.execute("DROP FUNCTION is_full() CASCADE")


def test_disk_that_is_full_for_notifications(days: Days, owner: Connection) -> None:
    """No row is at fault: no batch is split, no assignment is skipped, the run fails with the reason in its row."""
    with full(owner, "notifications", "INSERT"):
        row = days.expect_failure(SchedulerError, "DiskFull 53100")
    assert row and (500, 0) == (row["http_status"], row["assignments_failed"])
    days.check_final_state()


def test_disk_that_is_full_for_the_ledger(days: Days, owner: Connection) -> None:
    """No row can be written, so the channels get an alert at once."""
    with full(owner, "cron_execution_logs", "INSERT"):
        days.expect_failure(DatabaseError, "DiskFull 53100", "unrecorded")
    days.check_final_state()


@pytest.mark.parametrize("table", first(1, ["cron_execution_logs", "cron_alerts"]))
def test_disk_that_is_full_when_the_run_is_to_be_settled(days: Days, owner: Connection, table: str) -> None:
    """Row and alert are written together or not at all: the row stays running, and the next run settles it."""
    failing = table == "cron_alerts"
    if failing:  # only a run that fails, or recovers, writes an alert
        with full(owner, "notifications", "INSERT"):
            days.expect_failure(SchedulerError, "DiskFull 53100")
    with full(owner, table, "INSERT OR UPDATE" if failing else "UPDATE"):
        days.expect_failure(DatabaseError, "DiskFull 53100", "lost")
    assert 0 == days.expect_success()["reminders_dispatched"]
    days.check_final_state()
