"""The run lock as a lease: one holder, free at every end of it."""

from __future__ import annotations

import time

import pytest

from reminders.database import Connection
from reminders.errors import DatabaseError
from reminders.limits import LIMITS
from reminders.runs.lock import LOCK_KEY, RunLock
from tests.helpers.connections import AsRole
from tests.helpers.locks import HELD
from tests.helpers.waiting import eventually


def held(owner: Connection) -> list[int]:
    return [key for (key,) in owner.execute(HELD).fetchall()]


@pytest.fixture
def lock(as_role: AsRole) -> RunLock:
    return RunLock(as_role("cron_runner"))


def test_held_during_the_lease(owner: Connection, lock: RunLock) -> None:
    """pg_locks shows the documented key while the run goes, and nothing after."""
    with lock.lease(5) as locked:
        assert (True, [LOCK_KEY]) == (locked, held(owner))
    assert [] == held(owner)


def test_second_asker(as_role: AsRole, lock: RunLock) -> None:
    """It gets `False` at once, and the lock when the first is done."""
    second = RunLock(as_role("cron_runner"))
    with lock.lease(5):
        began = time.monotonic()
        with second.lease(5) as locked:
            assert not locked
        assert time.monotonic() - began < 4
    with second.lease(5) as locked:
        assert locked


def test_free_after_a_failure(owner: Connection, lock: RunLock) -> None:
    """An error passes through, and the lock is free."""
    with pytest.raises(ValueError, match="mine"), lock.lease(5):
        raise ValueError("mine")
    assert [] == held(owner)


def test_free_after_its_process(owner: Connection, as_role: AsRole) -> None:
    """A connection that breaks frees it."""
    connection = as_role("cron_runner")
    lease = RunLock(connection).lease(5)
    assert lease.__enter__()
    connection.pgconn.finish()
    assert eventually(lambda: not held(owner))


def test_lease_that_is_over(owner: Connection, lock: RunLock) -> None:
    """PostgreSQL takes it from a holder that overstays; the holder's own end is no error then."""
    with lock.lease(0.2 - LIMITS.lease_grace) as locked:
        assert locked
        assert eventually(lambda: not held(owner), 2)


def test_limits_end_with_the_transaction(as_role: AsRole) -> None:
    """The lease is local to its transaction: a pooler's next client must not meet it."""
    connection = as_role("cron_runner")
    names = ("idle_in_transaction_session_timeout", "client_connection_check_interval")

    def settings() -> list[str]:
        return [connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0] for name in names]  # type: ignore[index]

    before = settings()
    with RunLock(connection).lease(50):
        assert ["1min", "1s"] == settings()
    assert before == settings()


def test_others_cannot_lock(as_role: AsRole) -> None:
    """A visitor of the REST API who could take the lock could stop the reminders."""
    for role in ("anon", "authenticated", "service_role", "reminder_scheduler", "contact_admin_api"):
        with pytest.raises(DatabaseError, match="42501"), RunLock(as_role(role)).lease(5):
            pytest.fail("it was let in")
