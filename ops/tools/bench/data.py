"""
Assignments for the benchmark: on the first day half of them are due, on the second 4 % more, then none.

All have the default thresholds. Ids are random (UUIDv4), or time-ordered (UUIDv7): counted up from one prefix.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

import psycopg

Ids = Literal["random", "time-ordered"]
MAKE_ID: dict[Ids, str] = {
    "random": "gen_random_uuid()",
    "time-ordered": "('019aa000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
}
FILL = """
INSERT INTO assignments (id, org_id, peer_mentor_id, coordinator_id, assigned_at, last_contact_date)
SELECT
    {id},
    md5('org ' || n % 100)::uuid,
    md5('mentor ' || n / 4)::uuid,
    md5('coordinator ' || n / 200)::uuid,
    now() - interval '200 days',
    %(day)s::date - CASE
        WHEN n % 100 < 50 THEN 10 + n % 5  -- due
        WHEN n % 100 < 54 THEN 9           -- due tomorrow
        ELSE n % 5
    END
FROM generate_series(1, %(n)s) AS n
"""


def fill(connection: psycopg.Connection[Any], assignments: int, day: date, ids: Ids = "random") -> None:
    """Replace what is there by `assignments` rows, for a first run on `day`."""
    connection.execute("TRUNCATE assignments, org_settings, cron_execution_logs CASCADE")
    query = FILL.format(id=MAKE_ID[ids]).replace("% ", "%% ")
    connection.execute(query.encode(), {"n": assignments, "day": day})
    connection.execute("VACUUM (ANALYZE) assignments")


def empty_notifications(connection: psycopg.Connection[Any]) -> None:
    """As before the first run."""
    connection.execute("TRUNCATE notifications, cron_execution_logs")
