"""Overdue, contact logged, run: no reminder. By every path that an activity can come in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from uuid import UUID

import pytest

from reminders.database import Connection
from tests.contacts import (
    COORDINATOR,
    MENTOR,
    add_notification,
    add_pair,
    as_user,
    last_contact,
    notifications,
    one,
    run,
    today,
)
from tests.helpers.cases import first

Path = Callable[[Connection, UUID, date], None]
BY = "INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by, registration_path) "


def direct(owner: Connection, pair: UUID, day: date) -> None:
    with as_user(owner, MENTOR):
        owner.execute(BY + "VALUES (%s, 'meeting', %s, %s, 'direct')", [pair, day, MENTOR])


def proxy(owner: Connection, pair: UUID, day: date) -> None:
    with as_user(owner, COORDINATOR):
        owner.execute(BY + "VALUES (%s, 'phone_call', %s, %s, 'proxy')", [pair, day, COORDINATOR])


def coordinator_proxy(owner: Connection, pair: UUID, day: date) -> None:
    with as_user(owner, COORDINATOR):
        owner.execute(BY + "VALUES (%s, 'home_visit', %s, %s, 'coordinator_proxy')", [pair, day, COORDINATOR])


def bulk(owner: Connection, pair: UUID, day: date) -> None:
    """10,000 rows in one statement, this pair's among them, several times and in no order."""
    owner.execute(
        """
        INSERT INTO assignments (id, org_id, peer_mentor_id, assigned_at)
        SELECT md5('other ' || n)::uuid, gen_random_uuid(), gen_random_uuid(), '2025-01-01'
        FROM generate_series(1, 2000) AS n
        """
    )
    statement = """
        INSERT INTO activities (assignment_id, activity_type, recorded_date, registration_path)
        SELECT CASE WHEN n % 100 = 0 THEN %s ELSE md5('other ' || 1 + n % 2000)::uuid END,
            'meeting', %s::date - n % 7, 'bulk'
        FROM generate_series(1, 10000) AS n ORDER BY md5(n::text)
    """
    owner.execute(statement.replace("n %", "n %%").encode(), [pair, day])


def copy(owner: Connection, pair: UUID, day: date) -> None:
    columns = "assignment_id, activity_type, recorded_date, registration_path"
    with owner.cursor().copy(f"COPY activities ({columns}) FROM STDIN".encode()) as rows:
        rows.write_row([pair, "meeting", day - timedelta(days=3), "bulk"])
        rows.write_row([pair, "meeting", day, "bulk"])


def upsert(owner: Connection, pair: UUID, day: date) -> None:
    owner.execute(
        """
        INSERT INTO activities (id, assignment_id, activity_type, recorded_date) VALUES (1, %s, 'meeting', %s)
        ON CONFLICT (id) DO UPDATE SET recorded_date = excluded.recorded_date
        """,
        [pair, day],
    )


def merge(owner: Connection, pair: UUID, day: date) -> None:
    owner.execute(
        """
        MERGE INTO activities AS t USING (VALUES (%s::uuid, %s::date)) AS s (pair, day) ON t.assignment_id = s.pair
        WHEN MATCHED THEN UPDATE SET recorded_date = s.day
        WHEN NOT MATCHED THEN
            INSERT (assignment_id, activity_type, recorded_date) VALUES (s.pair, 'meeting', s.day)
        """,
        [pair, day],
    )


def inside_a_transaction(owner: Connection, pair: UUID, day: date) -> None:
    with owner.transaction():
        direct(owner, pair, day)


PATHS = [direct, proxy, coordinator_proxy, bulk, copy, upsert, merge, inside_a_transaction]


@pytest.mark.parametrize("path", first(3, PATHS))
def test_contact_logged_before_the_run(owner: Connection, scheduler: Connection, path: Path) -> None:
    """No reminder that day, nor before the threshold is reached again; then exactly one."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    path(owner, pair, now)
    for later in (0, 9):
        run(owner, scheduler, now + timedelta(days=later))
        assert notifications(owner, pair) == []
    for later in (10, 11):
        run(owner, scheduler, now + timedelta(days=later))
        assert notifications(owner, pair) == [("reminder", now, True)]


@pytest.mark.parametrize("path", first(3, PATHS))
def test_contact_logged_after_the_run(owner: Connection, scheduler: Connection, path: Path) -> None:
    """The reminder of the gap that it ends is resolved in the same transaction."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    run(owner, scheduler, now)
    path(owner, pair, now)
    assert notifications(owner, pair) == [("reminder", now - timedelta(days=15), False)]


def test_contact_that_was_rolled_back(owner: Connection, scheduler: Connection) -> None:
    """It never happened: the reminder comes."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    with owner.transaction(force_rollback=True):
        direct(owner, pair, now)
    run(owner, scheduler, now)
    assert notifications(owner, pair) == [("reminder", now - timedelta(days=15), True)]


def test_assignment_closed_after_the_run(owner: Connection, scheduler: Connection) -> None:
    """Its reminder is resolved, and opening it again brings the same one back, not another."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    gap = now - timedelta(days=15)
    run(owner, scheduler, now)
    owner.execute("UPDATE assignments SET status = 'closed' WHERE id = %s", [pair])
    assert notifications(owner, pair) == [("reminder", gap, False)]
    owner.execute("UPDATE assignments SET status = 'open' WHERE id = %s", [pair])
    run(owner, scheduler, now)
    assert notifications(owner, pair) == [("reminder", gap, True)]


def test_contact_that_an_admin_takes_back(owner: Connection, scheduler: Connection) -> None:
    """The gap goes on, its reminder with it; that of the gap which never began is resolved."""
    now = today(owner)
    pair = add_pair(owner, last=30)
    gap, slip = now - timedelta(days=30), now - timedelta(days=12)
    add_notification(owner, pair, gap)
    direct(owner, pair, slip)
    run(owner, scheduler, now)
    with as_user(owner, UUID(int=1), role="admin"):
        owner.execute(
            """
            INSERT INTO contact_date_corrections (assignment_id, old_date, new_date, reason)
            VALUES (%s, %s, %s, 'logged for the wrong contact')
            """,
            [pair, slip, gap],
        )
    assert notifications(owner, pair) == [("reminder", gap, True), ("reminder", slip, False)]
    run(owner, scheduler, now)
    assert notifications(owner, pair)[2:] == [("escalation", gap, True)]
    assert last_contact(owner, pair) == gap


def test_settled_notification_keeps_its_first_moment(owner: Connection) -> None:
    """A second contact does not resolve again what the first one has."""
    now = today(owner)
    pair = add_pair(owner, last=15)
    add_notification(owner, pair, now - timedelta(days=15))
    direct(owner, pair, now - timedelta(days=1))
    first = one(owner, "SELECT resolved_at FROM notifications")
    direct(owner, pair, now)
    assert one(owner, "SELECT resolved_at FROM notifications") == first
