"""
What else could do the same work on the same data: a floor, two ways that look natural, and a job queue.

Each starts from empty notifications and ends with the same rows in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
PROCRASTINATE = "procrastinate, a job an assignment, concurrency 8"

DUE = """
SELECT a.id, a.peer_mentor_id, a.anchor, %(day)s::date - a.anchor
FROM (SELECT *, coalesce(last_contact_date, (assigned_at AT TIME ZONE 'UTC')::date) AS anchor FROM assignments) AS a
LEFT JOIN org_settings AS s USING (org_id)
WHERE a.status = 'open' AND %(day)s::date - a.anchor >= coalesce(s.reminder_days, 10)
ORDER BY a.id
"""
ALL = """
SELECT a.id, a.peer_mentor_id, a.last_contact_date, a.assigned_at, coalesce(s.reminder_days, 10)
FROM assignments AS a LEFT JOIN org_settings AS s USING (org_id) WHERE a.status = 'open'
"""
INSERT = """
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
VALUES (%s, %s, 'reminder', %s, %s) ON CONFLICT (assignment_id, kind, contact_anchor) DO NOTHING
"""


def drop_floor(connection: Connection) -> None:
    """Leave nothing of the floor behind."""
    connection.execute("DROP TABLE IF EXISTS bench_rows, bench_notifications")


def prepare_floor(connection: Connection, day: date) -> None:
    """The rows to insert, worked out beforehand, and an empty table with the same indexes and keys."""
    drop_floor(connection)
    connection.execute(f"CREATE TABLE bench_rows (id, recipient_id, anchor, gap) AS {DUE}".encode(), {"day": day})
    connection.execute("ANALYZE bench_rows")
    connection.execute("CREATE TABLE bench_notifications (LIKE notifications INCLUDING ALL)")
    connection.execute("ALTER TABLE bench_notifications ADD FOREIGN KEY (assignment_id) REFERENCES assignments (id)")


def empty_floor(connection: Connection) -> None:
    """As before its first run."""
    connection.execute("TRUNCATE bench_notifications")


def floor(connection: Connection, day: date) -> None:
    """A bare INSERT … SELECT of the same rows: nothing is evaluated, held, fenced or counted."""
    connection.execute(
        """
        INSERT INTO bench_notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
        SELECT id, recipient_id, 'reminder', anchor, gap FROM bench_rows
        """
    )


def row_by_row(connection: Connection, day: date) -> None:
    """Read all, decide in Python, insert one by one."""
    with connection.transaction():
        for row in _due_in_python(connection, day):
            connection.execute(INSERT, row)


def fetch_and_executemany(connection: Connection, day: date) -> None:
    """Read all, decide in Python, insert by executemany (psycopg pipelines it)."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(INSERT, _due_in_python(connection, day))


def _due_in_python(connection: Connection, day: date) -> list[tuple[Any, ...]]:
    found = []
    for assignment, mentor, contact, assigned, threshold in connection.execute(ALL):
        anchor = contact or assigned.date()
        if (day - anchor).days >= threshold:
            found.append((assignment, mentor, anchor, (day - anchor).days))
    return found


def procrastinate(dsn: str, day: date) -> Callable[[], None]:
    """A job queue on the same PostgreSQL: one job an assignment, a worker with concurrency 8. Give the work."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=1, max_size=10))

    @app.task(queue="reminders")
    async def evaluate(assignment: str) -> None:
        one = f"SELECT * FROM ({DUE}) AS due WHERE id = %(assignment)s::uuid"
        rows = await app.connector.execute_query_all_async(_columns(one), day=day, assignment=assignment)
        for row in rows:
            await app.connector.execute_query_async(NAMED_INSERT, **row)

    async def work() -> None:
        async with app.open_async():
            rows = await app.connector.execute_query_all_async("SELECT id::text AS id FROM assignments")
            await evaluate.batch_defer_async(*({"assignment": row["id"]} for row in rows))
            await app.run_worker_async(queues=["reminders"], concurrency=8, wait=False)

    async def prepare() -> None:
        async with app.open_async():
            if not await app.check_connection_async():
                await app.schema_manager.apply_schema_async()

    asyncio.run(prepare())
    return lambda: asyncio.run(work())


NAMED_INSERT = """
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
VALUES (%(id)s, %(recipient)s, 'reminder', %(anchor)s, %(gap)s)
ON CONFLICT (assignment_id, kind, contact_anchor) DO NOTHING
"""


def _columns(query: str) -> str:
    return f"SELECT t.* FROM ({query}) AS t (id, recipient, anchor, gap)"
