"""Pairs for the tests of contact: assignments, what is logged for them, and runs that look at them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from reminders.database import Connection
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import DispatchRequest, DispatchResult, Shard

ORG, MENTOR, COORDINATOR = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)


def today(connection: Connection) -> date:
    """The database's, in UTC."""
    day: date = one(connection, "SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")
    return day


def add_pair(owner: Connection, *, last: int | None = 15, began: int = 100, status: str = "open") -> UUID:
    """An assignment that began, and had its last contact, so many days ago; with 15, a reminder is due."""
    now = today(owner)
    found: UUID = one(
        owner,
        """
        INSERT INTO assignments (org_id, peer_mentor_id, coordinator_id, status, assigned_at, last_contact_date)
        VALUES (%s, %s, %s, %s, %s::date::timestamp AT TIME ZONE 'UTC', %s) RETURNING id
        """,
        ORG,
        MENTOR,
        COORDINATOR,
        status,
        now - timedelta(days=began),
        None if last is None else now - timedelta(days=last),
    )
    return found


def log_contact(connection: Connection, pair: UUID, day: date, kind: str = "meeting") -> None:
    connection.execute(
        "INSERT INTO activities (assignment_id, activity_type, recorded_date) VALUES (%s, %s, %s)", [pair, kind, day]
    )


def last_contact(owner: Connection, pair: UUID) -> date | None:
    found: date | None = one(owner, "SELECT last_contact_date FROM assignments WHERE id = %s", pair)
    return found


def add_notification(owner: Connection, pair: UUID, anchor: date, kind: str = "reminder") -> None:
    owner.execute(
        """
        INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
        VALUES (%s, %s, %s, %s, 15)
        """,
        [pair, MENTOR, kind, anchor],
    )


def notifications(owner: Connection, pair: UUID) -> list[tuple[str, date, bool]]:
    """(kind, anchor, whether it is open), oldest first."""
    rows = owner.execute(
        "SELECT kind, contact_anchor, resolved_at IS NULL FROM notifications WHERE assignment_id = %s ORDER BY id",
        [pair],
    ).fetchall()
    return [(str(kind), anchor, bool(is_open)) for kind, anchor, is_open in rows]


def add_run(owner: Connection, as_of: date | None = None) -> UUID:
    """A run that is running; `as_of` is the day of its tick, today if not given."""
    found: UUID = one(
        owner,
        """
        INSERT INTO cron_execution_logs (id, job_name, trigger_source, status, scheduled_for)
        VALUES (%s, 'assignment-reminder-cron', 'manual', 'running', %s::date::timestamp AT TIME ZONE 'UTC')
        RETURNING id
        """,
        uuid4(),
        as_of or today(owner),
    )
    return found


def run(owner: Connection, scheduler: Connection, as_of: date) -> DispatchResult:
    """A whole run's dispatch, as if it were `as_of`; `scheduler` is a reminder_scheduler's connection."""
    service = ReminderSchedulerService(scheduler, batch_size=1_000, clock=time.monotonic)
    return service.work(DispatchRequest(add_run(owner, as_of), as_of, Shard()), budget=10.0)


@contextmanager
def as_user(connection: Connection, user: UUID, **app_metadata: Any) -> Iterator[None]:
    """A transaction of that user's, as PostgREST makes it."""
    claims = json.dumps({"sub": str(user), "role": "authenticated", "app_metadata": app_metadata})
    with connection.transaction():
        connection.execute(
            "SELECT set_config('request.jwt.claims', %s, true), set_config('role', 'authenticated', true)", [claims]
        )
        yield


def one(connection: Connection, statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row
    return row[0]
