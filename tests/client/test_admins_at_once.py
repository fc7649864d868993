"""Two admins change the same thing in the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from tests.client.calls import CALLS, call, changes
from tests.client.people import MENTOR, ORG
from tests.contacts import one


@contextmanager
def in_thread(connection: Connection, function: str, **arguments: Any) -> Iterator[list[Any]]:
    """The call's answer, or its SQLSTATE, when the block has ended."""
    answer: list[Any] = []

    def body() -> None:
        try:
            answer.append(call(connection, function, **arguments))
        except psycopg.DatabaseError as error:
            answer.append(error.sqlstate)

    thread = threading.Thread(target=body)
    thread.start()
    yield answer
    thread.join(10)


WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


SECOND: dict[str, dict[str, Any]] = {
    "admin_set_coordinator": {"coordinator_id": MENTOR},
    "admin_set_thresholds": {"reminder_days": 5},
}


@pytest.mark.parametrize("function", SECOND)
def test_two_admins_at_once(filled: Connection, server: Server, database: str, function: str) -> None:
    """The second waits, and is then refused with 412: no change is lost without its admin hearing of it."""
    login = server.dsn(MIGRATOR, database)
    with psycopg.connect(login) as first, psycopg.connect(login, autocommit=True) as other:
        first.execute("SELECT")  # begins a transaction, which the call then does not commit
        call(first, function, **CALLS[function])
        with in_thread(other, function, **{**CALLS[function], **SECOND[function]}) as answer:
            while not one(filled, WAITS):
                assert not answer
            first.commit()
    assert ["PT412"] == answer
    assert 1 == changes(filled)


@pytest.mark.parametrize("function", SECOND)
def test_two_admins_who_wait_together(filled: Connection, server: Server, database: str, function: str) -> None:
    """Both found the row locked: the one who gets it next changes it, the other one is refused with 412."""
    filled.execute("INSERT INTO org_settings VALUES (%s, 10, 20)", [ORG])
    login = server.dsn(MIGRATOR, database)
    with (
        psycopg.connect(login) as holder,
        psycopg.connect(login, autocommit=True) as one_admin,
        psycopg.connect(login, autocommit=True) as other,
    ):
        holder.execute("SELECT FROM assignments, org_settings FOR UPDATE")
        with (
            in_thread(one_admin, function, **CALLS[function]) as answer,
            in_thread(other, function, **{**CALLS[function], **SECOND[function]}) as other_answer,
        ):
            while one(filled, WAITS) < 2:
                assert not answer and not other_answer
            holder.commit()
    assert 1 == [*answer, *other_answer].count("PT412")
    assert 1 == changes(filled)
