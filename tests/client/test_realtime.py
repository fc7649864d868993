"""What Supabase Realtime gets once the documented line was run, and to whom it may pass it on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ops.local.database import create_database, drop_database, prepare_template
from ops.local.server import MIGRATOR, Server, any_server
from reminders.database import Connection
from tests.client.examples import blocks
from tests.client.people import ADMIN_APP, ASSIGNMENT, COORDINATOR, MENTOR, ORG
from tests.client.pgoutput import DELETE, INSERT, UPDATE, Change, changes
from tests.contacts import as_user, one
from tests.tokens import ADMIN

INSERTED = """
    INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
    VALUES (%s, %s, 'reminder', '2026-11-01', 10) RETURNING id
"""


@pytest.fixture(scope="module")
def replicating() -> Iterator[Server]:
    """A server that writes what logical replication needs, as Supabase's does."""
    with any_server(settings={"wal_level": "logical"}) as running:
        with psycopg.connect(running.dsn(running.superuser)) as connection:
            if one(connection, "SHOW wal_level") != "logical":
                pytest.skip("the server of DATABASE_URL has wal_level below logical, so nothing can be published there")
        yield running


@pytest.fixture
def superuser(replicating: Server) -> Iterator[Connection]:
    """In a migrated database with Supabase's publication, to which the page's line was applied as `postgres`."""
    name = create_database(replicating, "test_realtime", prepare_template(replicating))
    (line,) = [block for block in blocks() if block.marker == "run: sql as postgres"]
    with psycopg.connect(replicating.dsn(MIGRATOR, name), autocommit=True) as owner:
        owner.execute("CREATE PUBLICATION supabase_realtime")
        owner.execute(line.text.encode())
    try:
        with psycopg.connect(replicating.dsn(replicating.superuser, name), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id) VALUES (%s, %s, %s, %s)",
                [ASSIGNMENT, ORG, MENTOR, COORDINATOR],
            )
            connection.execute("SELECT pg_create_logical_replication_slot('realtime', 'pgoutput')")
            yield connection
            connection.execute("SELECT pg_drop_replication_slot('realtime')")
    finally:
        drop_database(replicating, name)


def published(connection: Connection) -> list[Change]:
    return list(changes(connection, "realtime", "supabase_realtime"))


def test_new_notification_and_its_reading(superuser: Connection) -> None:
    """Both arrive with the whole new row, without REPLICA IDENTITY FULL; read_at is the database's time."""
    number = str(one(superuser, INSERTED, ASSIGNMENT, MENTOR))
    with as_user(superuser, MENTOR):
        superuser.execute("UPDATE notifications SET read_at = 'now'")
    sent, read = published(superuser)
    assert ("public.notifications", INSERT, UPDATE) == (sent.table, sent.kind, read.kind)
    assert (number, str(MENTOR), "reminder", "10", None) == tuple(
        sent.row[name] for name in ("id", "recipient_id", "kind", "gap_days", "read_at")
    )
    assert read.row["read_at"]
    assert sent.row == {**read.row, "read_at": None}


def test_notification_that_was_resolved(superuser: Connection) -> None:
    """Contact that is logged makes it disappear from a list that is open on a screen."""
    one(superuser, INSERTED, ASSIGNMENT, MENTOR)
    superuser.execute("UPDATE assignments SET last_contact_date = '2026-11-20'")
    assert [False, True] == [change.row["resolved_at"] is not None for change in published(superuser)]


def test_nothing_else_is_published(superuser: Connection) -> None:
    """Assignments, settings and what admins changed stay where they are."""
    with as_user(superuser, ADMIN, **ADMIN_APP):
        superuser.execute("SELECT admin_set_thresholds(%s, 7, 14)", [ORG])
        superuser.execute("SELECT admin_close_assignment(%s, 'Moved to another town')", [ASSIGNMENT])
    assert [] == published(superuser)


def test_deletion_shows_the_id_alone(superuser: Connection) -> None:
    """Row level security is not asked about a DELETE, so what is sent of it must be worth nothing."""
    number = str(one(superuser, INSERTED, ASSIGNMENT, MENTOR))
    superuser.execute("DELETE FROM notifications")
    (_, gone) = published(superuser)
    assert (DELETE, {"id": number}) == (gone.kind, {name: value for name, value in gone.row.items() if value})


SUBSCRIBERS: dict[str, tuple[UUID, dict[str, Any], bool]] = {
    "recipient": (MENTOR, {}, True),
    "coordinator": (COORDINATOR, {}, False),
    "unrelated": (UUID(int=0xC), {}, False),
    "admin": (ADMIN, ADMIN_APP, True),
    "admin of nothing": (ADMIN, {"role": "admin", "org_ids": []}, False),
}


def test_subscriber_gets_what_they_may_see(superuser: Connection) -> None:
    """Realtime asks for each subscriber, with their claims, whether the row with this key is visible."""
    one(superuser, INSERTED, ASSIGNMENT, MENTOR)
    (change,) = published(superuser)
    visible: dict[str, bool] = {}
    for subscriber, (user, app, _) in SUBSCRIBERS.items():
        with as_user(superuser, user, **app):
            found = superuser.execute("SELECT FROM notifications WHERE id = %s", [change.row["id"]])
            visible[subscriber] = bool(found.rowcount)
    assert {subscriber: gets_it for subscriber, (_, _, gets_it) in SUBSCRIBERS.items()} == visible
