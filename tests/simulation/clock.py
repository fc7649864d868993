"""
The simulated clock: the database's, because all that is decided by time is decided by it.

    now() = the machine's time + simulation.ahead          a setting of the database, for each new session

The functions of the clock are replaced in one database, before the migrations run, so that defaults, policies and
functions use the replaced ones. Handlers, SQL and migrations are the product's, unchanged. What PostgreSQL does by
itself, such as ending a session whose lease is over, goes by real time. `current_date` cannot be replaced; its one use
tolerates the difference.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from ops.local.server import Server, admin

SECOND = timedelta(seconds=1)
REPLACE = """
DO $$
DECLARE
    clock text;
BEGIN
    FOREACH clock IN ARRAY ARRAY['now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp'] LOOP
        EXECUTE format('ALTER FUNCTION pg_catalog.%I() RENAME TO %I', clock, 'real_' || clock);
        EXECUTE format(
            $new$
            CREATE FUNCTION pg_catalog.%I() RETURNS timestamptz LANGUAGE sql %s PARALLEL SAFE AS $body$
                SELECT pg_catalog.%I()
                    + coalesce(nullif(pg_catalog.current_setting('simulation.ahead', true), ''), '0')::interval
            $body$
            $new$,
            clock, CASE clock WHEN 'clock_timestamp' THEN 'VOLATILE' ELSE 'STABLE' END, 'real_' || clock
        );
    END LOOP;
END
$$
"""


def replace_clock(server: Server, database: str) -> None:
    """Make the clock of `database` one that can be set; the database must be empty."""
    with admin(server, database) as connection:
        connection.execute(REPLACE)


class Clock:
    """Sets the time of `database`; it goes on by itself. `sessions` are open already, the superuser's first."""

    def __init__(self, database: str) -> None:
        self._for_new_sessions = sql.SQL("ALTER DATABASE {} SET simulation.ahead = ").format(sql.Identifier(database))
        self._ahead = timedelta(0)
        self.sessions: list[psycopg.Connection[Any]] = []
        self.moment = datetime.now(UTC)

    def set(self, moment: datetime) -> None:
        """
        From now on it is `moment` (aware), for these sessions and for all that connect from now on.

        Time never goes back. If the clock is already past `moment`, it advances by one second. So what happens later
        has a later time in every row.
        """
        now = datetime.now(UTC)
        self.moment = max(moment, now + self._ahead + SECOND)
        self._ahead = self.moment - now
        ahead = sql.Literal(f"{self._ahead.total_seconds():.6f} seconds")
        here = sql.SQL("SET simulation.ahead = ") + ahead
        first, *others = self.sessions
        first.execute(self._for_new_sessions + ahead + sql.SQL("; ") + here)
        for session in others:
            session.execute(here)
