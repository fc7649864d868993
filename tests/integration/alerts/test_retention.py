"""The one function that deletes rows of the ledger, and who may call it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors

from reminders.database import Connection
from tests.factories import add_run, count, runs
from tests.helpers.cases import first, table
from tests.helpers.connections import AsRole


def days_ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def prune(connection: Connection, days: int | None, at_most: int = 1_000) -> int:
    row = connection.execute("SELECT prune_runs(%s, %s)", [days, at_most]).fetchone()
    assert row
    return int(row[0])


def test_batch(runner: Connection, owner: Connection) -> None:
    """Never more than asked for, the oldest first."""
    for days in range(100, 105):
        add_run(owner, "failed", started_at=days_ago(days))
    assert [2, 2, 1, 0] == [prune(runner, 90, at_most=2) for _ in range(4)]


def test_oldest_first(runner: Connection, owner: Connection) -> None:
    """What is left is the newest."""
    for days in (100, 104, 102):
        add_run(owner, "failed", started_at=days_ago(days))
    prune(runner, 90, at_most=2)
    assert [100] == [(datetime.now(UTC) - run["started_at"]).days for run in runs(owner)]


@pytest.mark.parametrize("days", first(1, [89, 30, 0, -1, None]))
def test_retention_below_90_days(runner: Connection, owner: Connection, days: int | None) -> None:
    """A mistyped setting cannot empty the ledger: the database refuses, too."""
    add_run(owner, "failed", started_at=days_ago(400))
    with pytest.raises(errors.InvalidParameterValue, match="kept for 90 days at least"):
        prune(runner, days)
    assert 1 == count(owner, "cron_execution_logs")


def test_rows_that_stay(runner: Connection, owner: Connection) -> None:
    """A running row and the newest success stay, whatever their age."""
    kept = {add_run(owner, "success", started_at=days_ago(900)), add_run(owner, "running", started_at=days_ago(950))}
    add_run(owner, "success", started_at=days_ago(901))
    assert 1 == prune(runner, 90)
    assert kept == {run["id"] for run in runs(owner)}


def test_newest_success_of_each_job_stays(runner: Connection, owner: Connection) -> None:
    """The success of another job is none of this one."""
    add_run(owner, "success", started_at=days_ago(900))
    add_run(owner, "success", started_at=days_ago(800), job_name="another-job")
    assert 0 == prune(runner, 90)


def test_row_that_another_watchdog_prunes(runner: Connection, owner: Connection) -> None:
    """It is passed over, and not waited for."""
    held = add_run(owner, "failed", started_at=days_ago(100))
    add_run(owner, "failed", started_at=days_ago(99))
    with owner.transaction():
        owner.execute("SELECT FROM cron_execution_logs WHERE id = %s FOR UPDATE", [held])
        runner.execute("SET lock_timeout = '1s'")
        assert 1 == prune(runner, 90)


@table("table", ["cron_execution_logs", "cron_alerts", "cron_alert_deliveries"])
@table("statement", ["DELETE FROM {}", "TRUNCATE {}"])
def test_runner_cannot_delete_by_itself(runner: Connection, table: str, statement: str) -> None:
    """Runs and alerts are evidence: the role that writes them cannot remove them."""
    with pytest.raises(errors.InsufficientPrivilege):
        runner.execute(statement.format(table).encode())


@table("role", ["anon", "authenticated", "service_role", "reminder_scheduler", "contact_admin_api"])
def test_other_roles_cannot_prune(as_role: AsRole, role: str) -> None:
    """Supabase publishes functions over its REST API; this one is the watchdog's alone."""
    with pytest.raises(errors.InsufficientPrivilege):
        prune(as_role(role), 365)


@table("role", ["anon", "authenticated", "service_role", "reminder_scheduler"])
@table("relation", ["cron_alerts", "cron_alert_deliveries"])
def test_other_roles_cannot_read_the_outbox(as_role: AsRole, role: str, relation: str) -> None:
    """Supabase would grant everything on a new table; alerts are not for browsers."""
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(role).execute(f"SELECT FROM {relation}".encode())


def test_runner_cannot_rewrite_what_was_sent(runner: Connection, owner: Connection) -> None:
    """A delivered row is history: an UPDATE does not find it. An alert's words are never changed."""
    owner.execute(
        """
        WITH a AS (INSERT INTO cron_alerts (kind, dedupe_key, payload) VALUES ('failure', 'x', '{}') RETURNING id)
        INSERT INTO cron_alert_deliveries (alert_id, channel, attempts, delivered_at)
        SELECT id, 'slack', 1, now() FROM a
        """
    )
    assert 0 == runner.execute("UPDATE cron_alert_deliveries SET delivered_at = NULL").rowcount
    with pytest.raises(errors.InsufficientPrivilege):
        runner.execute("UPDATE cron_alerts SET payload = '{}'")
