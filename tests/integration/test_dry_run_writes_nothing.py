"""A dry run leaves no trace: not in a table, not in the write-ahead log, not even as a lock."""

from __future__ import annotations

import pytest

from reminders.database import Connection
from reminders.errors import DatabaseError
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import DispatchRequest, Shard
from tests.factories import TODAY, add_assignments
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeService

WORK = DispatchRequest(None, TODAY, Shard(), dry_run=True)
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
POSITION = "SELECT pg_current_wal_insert_lsn()"


def contents(owner: Connection) -> dict[str, list[str]]:
    """Every row of every table, with its system columns: an update that changes nothing shows as well."""
    return {
        table: [
            row[0] for row in owner.execute(f"SELECT (t, ctid, xmin, xmax)::text FROM {table} AS t ORDER BY 1".encode())
        ]
        for (table,) in owner.execute(TABLES).fetchall()
    }


def test_tables(owner: Connection, make_service: MakeService) -> None:
    """No row is added, changed or locked."""
    add_assignments(owner, 50, gap=25)
    before = contents(owner)
    assert 100 == make_service(7).work(WORK, budget=5).counts.dispatched
    assert before == contents(owner)


def test_write_ahead_log(owner: Connection, make_service: MakeService) -> None:
    """Nothing is logged that would have to be replicated or replayed."""
    add_assignments(owner, 50, gap=25)
    owner.execute("VACUUM ANALYZE assignments, org_settings, notifications")
    service = make_service(7)

    def writes() -> bool:
        before = owner.execute(POSITION).fetchone()
        service.work(WORK, budget=5)
        return before != owner.execute(POSITION).fetchone()

    # The server's own work (a checkpoint, autovacuum elsewhere) may write once or twice, not each time.
    assert not all(writes() for _ in range(5))


def test_database_holds_it_to_that(owner: Connection, as_role: AsRole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the query ever write, PostgreSQL refuses: the transaction is read only."""
    add_assignments(owner, 1)
    from reminders.scheduling import service as module

    monkeypatch.setitem(module.queries.by_name, "plan_batch", b"DELETE FROM notifications RETURNING 1 AS evaluated")
    owner.execute("GRANT DELETE ON notifications TO reminder_scheduler")
    with pytest.raises(DatabaseError, match="25006"):
        ReminderSchedulerService(as_role("reminder_scheduler"), 10, lambda: 0.0).work(WORK, budget=1)
