"""A connection that breaks again and again: how often a call is repeated, and when it is given up."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, NoReturn

import pytest

from reminders.errors import DatabaseUnavailable
from reminders.messages.delivery import CourierDeps, CourierLimits, Session

LIMITS = CourierLimits(reserve_seconds=15.0, reconnect_pause=1.0)


class Database:
    """Time passes only in `sleep`. Connecting works unless `refuses_logins`, and every call breaks the connection."""

    def __init__(self, seconds: float) -> None:
        self.seconds_left = seconds
        self.refuses_logins = False
        self.logins = self.calls = 0

    def connect(self) -> Any:
        self.logins += 1
        if self.refuses_logins:
            raise DatabaseUnavailable("database unreachable")
        return nullcontext(object())

    def sleep(self, seconds: float) -> None:
        self.seconds_left -= seconds

    def call(self, connection: object) -> NoReturn:
        self.calls += 1
        assert self.calls < 100, "it is repeated without end"
        raise DatabaseUnavailable("OperationalError 57P02", "57P02")

    def session(self) -> Session:
        return Session(
            CourierDeps(self.connect, [], LIMITS, lambda: self.seconds_left, lambda: -self.seconds_left, self.sleep)
        )


def test_connecting_works_and_every_call_breaks() -> None:
    """A call is repeated after a pause each, and given up when a third of the reserve is left."""
    database = Database(seconds=15)
    with database.session() as session, pytest.raises(DatabaseUnavailable, match="57P02"):
        session.run(database.call)
    assert (4.0, 12, 12) == (database.seconds_left, database.calls, database.logins)


def test_connecting_fails() -> None:
    """As long as it does, connecting is repeated in the same way."""
    database = Database(seconds=15)
    with database.session() as session, pytest.raises(DatabaseUnavailable, match="unreachable"):
        database.refuses_logins = True
        session.run(database.call)
    assert (4.0, 1, 12) == (database.seconds_left, database.calls, database.logins)


def test_no_time_is_left() -> None:
    """Nothing is repeated: what is left is needed to report the error."""
    database = Database(seconds=4)
    with database.session() as session, pytest.raises(DatabaseUnavailable):
        session.run(database.call)
    assert 1 == database.calls


def test_call_that_works_the_second_time() -> None:
    """Its result is returned, after one pause."""
    database = Database(seconds=15)
    with database.session() as session:
        assert "done" == session.run(lambda connection: "done" if database.calls else database.call(connection))
    assert 14.0 == database.seconds_left
