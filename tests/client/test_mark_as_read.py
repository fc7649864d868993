"""Recipients set read_at of their own notifications, to now, once; nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from ops.local.database import apply_shim, create_database, drop_database
from ops.local.server import MIGRATOR, Server
from ops.migrations import migrate
from reminders.database import Connection
from tests.client.people import ASSIGNMENT, COORDINATOR, MENTOR
from tests.contacts import as_user, one
from tests.helpers.cases import table

READ = "UPDATE notifications SET read_at = %s WHERE id = %s RETURNING read_at"
UNREAD = """
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
SELECT %s, %s, 'reminder', max(contact_anchor) + 1, 10 FROM notifications RETURNING id
"""


def mark(owner: Connection, value: object, number: int = 1) -> Any:
    """As the mentor; the read_at that comes back."""
    with as_user(owner, MENTOR):
        return one(owner, READ, value, number)


@table("sent", ["now", "1970-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "infinity"])
def test_time_that_the_app_sends(filled: Connection, sent: str) -> None:
    """A phone's clock may be wrong: read_at is the database's time, whatever was sent."""
    read_at = mark(filled, sent, one(filled, UNREAD, ASSIGNMENT, MENTOR))
    assert timedelta(0) <= datetime.now(UTC) - read_at < timedelta(seconds=10)


@table("again", ["now", "1970-01-01T00:00:00Z", None])
def test_second_time(filled: Connection, again: str | None) -> None:
    """The first time stays, and repeating the call is no error; nor is taking it back."""
    number = one(filled, UNREAD, ASSIGNMENT, MENTOR)
    assert mark(filled, "now", number) == mark(filled, again, number)


def test_null_is_not_read(filled: Connection) -> None:
    """A null does not mark an unread notification as read."""
    assert mark(filled, None) is None


def test_notification_of_another_person(filled: Connection) -> None:
    """It is not found, and stays unread."""
    with as_user(filled, COORDINATOR, role="admin"):
        assert 0 == filled.execute("UPDATE notifications SET read_at = 'now' WHERE id = 1").rowcount
    assert one(filled, "SELECT read_at FROM notifications WHERE id = 1") is None


@table("column", ["resolved_at", "created_at", "recipient_id", "gap_days", "id"])
def test_any_other_column(filled: Connection, column: str) -> None:
    """A recipient changes nothing else, neither alone nor together with read_at."""
    for sets in (f"{column} = DEFAULT", f"read_at = 'now', {column} = DEFAULT"):
        with pytest.raises(errors.InsufficientPrivilege), as_user(filled, MENTOR):
            filled.execute(f"UPDATE notifications SET {sets} WHERE id = 1".encode())


def test_backend_sets_what_it_needs_to(filled: Connection) -> None:
    """service_role imports or corrects: the rule is for people."""
    with filled.transaction():
        filled.execute("SET LOCAL ROLE service_role")
        assert one(filled, READ, "2026-11-01T00:00:00Z", 1) == datetime(2026, 11, 1, tzinfo=UTC)
        assert one(filled, READ, None, 1) is None


@table(
    "read",
    [
        "SELECT id FROM notifications ORDER BY created_at DESC LIMIT 20",
        "SELECT count(*) FROM notifications WHERE read_at IS NULL",
    ],
    ids=["list", "count"],
)
def test_reading_takes_the_indexes(filled: Connection, read: str) -> None:
    """However many notifications there are: the recipient's by one index, the admin's by another, never the table."""
    with as_user(filled, MENTOR):
        filled.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexonlyscan = off")
        plan = "\n".join(row[0] for row in filled.execute(f"EXPLAIN {read}".encode()).fetchall())
    assert "BitmapOr" in plan and "notifications_recipient_idx" in plan and "notifications_once_per_gap" in plan, plan


THEIRS = """
CREATE TABLE notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), assignment_id uuid NOT NULL, recipient_id uuid NOT NULL,
    kind text NOT NULL, contact_anchor date NOT NULL, gap_days integer NOT NULL, run_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(), read_at timestamptz, resolved_at timestamptz
);
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON notifications FROM anon, authenticated;
GRANT SELECT (id) ON notifications TO authenticated;
CREATE POLICY theirs ON notifications FOR SELECT TO authenticated USING (false);
"""
# Of their table: what people may do with which column, the policies for people, triggers.
STATE = """
    SELECT
        ARRAY(SELECT grantee || ' ' || privilege_type || ' ' || column_name FROM information_schema.column_privileges
              WHERE table_name = 'notifications' AND grantee IN ('anon', 'authenticated') ORDER BY 1),
        ARRAY(SELECT policyname::text FROM pg_policies
              WHERE tablename = 'notifications' AND 'authenticated' = ANY (roles) ORDER BY 1),
        ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'notifications'::regclass AND NOT tgisinternal)
"""


def test_notifications_that_the_app_had_before(server: Server) -> None:
    """They keep their own grants, policies and triggers."""
    name = create_database(server, f"test_{uuid4().hex[:12]}")
    try:
        apply_shim(server, name)
        with psycopg.connect(server.dsn(MIGRATOR, name), autocommit=True) as connection:
            connection.execute(THEIRS)
            before = connection.execute(STATE).fetchone()
            migrate(server.dsn(MIGRATOR, name))
            assert before == connection.execute(STATE).fetchone()
        assert before == (["authenticated SELECT id"], ["theirs"], [])
    finally:
        drop_database(server, name)
