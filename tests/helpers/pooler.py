"""
What a transaction pooler does for the functions: PostgreSQL's sessions stay, and the next client gets a warm one.

    connect ─▶ a session that is idle, or a new one ─▶ close gives it back

Starting a session and filling its caches takes longer than what the functions do in it. Nothing of a session is reset,
as in a pooler; a transaction that is open is rolled back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from reminders import database
from reminders.database import Connection

# The simulated clock (tests/simulation/clock.py) is a setting of the database, which a new session would get.
ON_CHECKOUT = """
SELECT
    set_config('application_name', %s, false),
    set_config('simulation.ahead', (
        SELECT split_part(setting, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND setrole = 0 AND setting LIKE 'simulation.ahead=%%'
    ), false)
"""
ON_RETURN = "SET application_name = 'pooler'"


class Pooler:
    """Its `connect` stands in for `reminders.database.connect`."""

    def __init__(self) -> None:
        self._real = database.connect
        self._idle: dict[str, list[Connection]] = defaultdict(list)

    def connect(self, dsn: str, *, name: str) -> Connection:
        """As `database.connect`."""
        while self._idle[dsn]:
            session = self._idle[dsn].pop()
            if _succeeds(session, ON_CHECKOUT, [name]):
                return session
        session = self._real(dsn, name=name)
        session.close = partial(self._give_back, dsn, session, session.close)  # type: ignore[method-assign]
        return session

    def close(self) -> None:
        """End the sessions that are idle."""
        for sessions in self._idle.values():
            for session in sessions:
                psycopg.Connection.close(session)
        self._idle.clear()

    def _give_back(self, dsn: str, session: Connection, really_close: Callable[[], None]) -> None:
        is_idle = session.info.transaction_status == TransactionStatus.IDLE or _succeeds(session, "ROLLBACK")
        if is_idle and _succeeds(session, ON_RETURN):
            self._idle[dsn].append(session)
        else:
            really_close()


def _succeeds(session: Connection, statement: str, values: list[Any] | None = None) -> bool:
    """False: the session is lost."""
    try:
        session.execute(statement.encode(), values)
    except psycopg.Error:
        return False
    return True
