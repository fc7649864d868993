"""Rows for tests: each with what the test is about, everything else plausible."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from reminders.database import Connection

# A run may be up to 7 days old, so tests can use days before and after TICK.
TICK = datetime.combine(datetime.now(UTC).date() - timedelta(days=4), time(6), UTC)
TODAY = TICK.date()
ORG = UUID(int=0xA)
MENTOR = UUID(int=0xB)
COORDINATOR = UUID(int=0xC)


def add_org(owner: Connection, org_id: UUID = ORG, reminder_days: int = 10, escalation_days: int = 20) -> UUID:
    owner.execute("INSERT INTO org_settings VALUES (%s, %s, %s)", [org_id, reminder_days, escalation_days])
    return org_id


def add_assignment(
    owner: Connection,
    gap: int | None = 10,
    *,
    today: date = TODAY,
    assignment_id: UUID | None = None,
    org_id: UUID = ORG,
    coordinator_id: UUID | None = COORDINATOR,
    status: str = "open",
    assigned_at: datetime | None = None,
) -> UUID:
    """An assignment whose last contact was `gap` days ago; None: never contacted."""
    row = {
        "id": assignment_id or uuid4(),
        "org_id": org_id,
        "mentor": MENTOR,
        "coordinator": coordinator_id,
        "status": status,
        "assigned_at": assigned_at or datetime(2025, 1, 1, tzinfo=UTC),
        "last_contact_date": None if gap is None else today - timedelta(days=gap),
    }
    owner.execute(
        """
        INSERT INTO assignments
            (id, org_id, peer_mentor_id, coordinator_id, status, assigned_at, last_contact_date)
        VALUES (%(id)s, %(org_id)s, %(mentor)s, %(coordinator)s, %(status)s, %(assigned_at)s, %(last_contact_date)s)
        """,
        row,
    )
    return UUID(str(row["id"]))


def add_assignments(owner: Connection, count: int, gap: int = 10, today: date = TODAY) -> list[UUID]:
    """Many at once, their ids spread evenly over the uuid space and in order."""
    rows = owner.execute(
        """
        INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, last_contact_date)
        SELECT (lpad(to_hex(n * 4294967296 / %(count)s), 8, '0') || '-0000-4000-8000-000000000000')::uuid,
            %(org)s, %(mentor)s, %(coordinator)s, %(last)s
        FROM generate_series(0::bigint, %(count)s - 1) AS n
        RETURNING id
        """,
        {
            "count": count,
            "org": ORG,
            "mentor": MENTOR,
            "coordinator": COORDINATOR,
            "last": today - timedelta(days=gap),
        },
    ).fetchall()
    return sorted(row[0] for row in rows)


def add_run(owner: Connection, status: str = "running", as_of: date | None = None, **columns: Any) -> UUID:
    """A ledger row as it looks in `status`; `as_of` is the day of its tick."""
    values: dict[str, Any] = {"job_name": "assignment-reminder-cron", "trigger_source": "schedule", "status": status}
    if status != "running":
        values["completed_at"] = TICK
    if status == "failed":
        values["error_message"] = "it broke"
        values["consecutive_failure_count"] = 1
    if as_of is not None:
        values["scheduled_for"] = datetime(as_of.year, as_of.month, as_of.day, 6, tzinfo=UTC)
    values |= columns
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    row = owner.execute(
        f"INSERT INTO cron_execution_logs ({names}) VALUES ({marks}) RETURNING id".encode(), list(values.values())
    ).fetchone()
    assert row
    return UUID(str(row[0]))


def notified(owner: Connection) -> set[tuple[UUID, str]]:
    return {(a, k) for a, k in owner.execute("SELECT assignment_id, kind FROM notifications").fetchall()}


def count(owner: Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row
    return int(row[0])


def runs(owner: Connection) -> list[dict[str, Any]]:
    """The ledger, oldest first."""
    cursor = owner.execute("SELECT * FROM cron_execution_logs ORDER BY started_at")
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
