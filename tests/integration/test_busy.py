"""Assignments that another session has locked, or changes, while their batch runs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from reminders.limits import LIMITS, TransactionLimits
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Shard
from tests.factories import TODAY, add_assignments, add_run, count, notified
from tests.helpers.cases import first
from tests.helpers.services import ClockWithAction, MakeService
from tests.helpers.waiting import eventually

ALL = Shard()


@pytest.fixture
def other_session(server: Server, database: str) -> Iterator[Connection]:
    """Another session; it must end before the database is dropped."""
    with psycopg.connect(server.dsn(MIGRATOR, database)) as connection:
        yield connection
        connection.rollback()


@contextmanager
def locked(other_session: Connection, assignment_id: UUID) -> Iterator[None]:
    other_session.execute("SELECT FROM assignments WHERE id = %s FOR UPDATE", [assignment_id])
    yield
    other_session.rollback()


def test_locked_through_the_whole_run(
    owner: Connection, make_service: MakeService, run_id: UUID, other_session: Connection
) -> None:
    """The batch does not wait: it counts the assignment as failed, and the next run reminds."""
    ids = add_assignments(owner, 5)
    with locked(other_session, ids[2]):
        progress = make_service(2).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert DispatchResult(Counts(5, 4, 1)) == progress
    assert (ids[2], "reminder") not in notified(owner)
    next_run = make_service(2).work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5)
    assert DispatchResult(Counts(5, 1, 0)) == next_run


def test_locked_for_a_moment(
    owner: Connection, make_service: MakeService, run_id: UUID, other_session: Connection
) -> None:
    """What was free again by the end of the call is reminded by a second look."""
    ids = add_assignments(owner, 5)
    other_session.execute("SELECT FROM assignments WHERE id = %s FOR UPDATE", [ids[0]])
    # Looks: the deadline, then two for each batch but one for the first. The lock goes before the third.
    service = make_service(2, ClockWithAction(5, other_session.rollback))
    assert DispatchResult(Counts(5, 5, 0)) == service.work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert {(i, "reminder") for i in ids} == notified(owner)


def test_locked_until_the_time_is_up(
    owner: Connection, make_service: MakeService, run_id: UUID, other_session: Connection
) -> None:
    """At the end of the budget there is no second look, even if the lock goes at that moment: the next run reminds."""
    (busy,) = add_assignments(owner, 1)
    other_session.execute("SELECT FROM assignments WHERE id = %s FOR UPDATE", [busy])
    service = make_service(5, ClockWithAction(3, other_session.rollback))
    assert DispatchResult(Counts(1, 0, 1)) == service.work(DispatchRequest(run_id, TODAY, ALL), budget=0)


def test_contact_logged_while_the_batch_looks(
    owner: Connection, make_service: MakeService, run_id: UUID, other_session: Connection
) -> None:
    """A contact is logged and not committed yet: no reminder is sent about a contact just made."""
    ids = add_assignments(owner, 5)
    other_session.execute("UPDATE assignments SET last_contact_date = %s WHERE id = %s", [TODAY, ids[1]])
    service = make_service(5, ClockWithAction(3, other_session.commit))
    assert DispatchResult(Counts(5, 4, 0)) == service.work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert (ids[1], "reminder") not in notified(owner)


def test_locked_with_nothing_due(
    owner: Connection, make_service: MakeService, run_id: UUID, other_session: Connection
) -> None:
    """A locked assignment that is not due is no one's concern."""
    ids = add_assignments(owner, 3, gap=2)
    with locked(other_session, ids[0]):
        assert DispatchResult(Counts(3, 0, 0)) == make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=5)


def test_day_without_news_locks_nothing(
    owner: Connection, make_service: MakeService, other_session: Connection
) -> None:
    """When all is dispatched already, a run neither waits for anybody nor counts a failure."""
    ids = add_assignments(owner, 3)
    make_service().work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5)
    with locked(other_session, ids[0]):
        second = make_service().work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5)
        assert DispatchResult(Counts(3, 0, 0)) == second


def test_table_locked_by_a_migration(
    owner: Connection,
    make_service: MakeService,
    run_id: UUID,
    other_session: Connection,
) -> None:
    """A lock timeout is tried again; then the assignment counts as failed and is left to the next run."""
    service = make_service(1, limits=replace(LIMITS, batch=TransactionLimits(statement=2.0, lock=0.05, idle=10.0)))
    add_assignments(owner, 1)
    other_session.execute("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE")
    assert DispatchResult(Counts(1, 0, 1)) == service.work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    other_session.rollback()
    assert 0 == count(owner, "notifications")


DELETE_ALL = """
DELETE FROM notifications
RETURNING assignment_id, recipient_id, kind, contact_anchor, gap_days, run_id
"""
INSERT = """
INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days, run_id)
VALUES (%s, %s, %s, %s, %s, %s)
"""
WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("batch_size", first(1, [1, 5]))
def test_another_call_inserts_the_same_row(
    owner: Connection,
    make_service: MakeService,
    run_id: UUID,
    other_session: Connection,
    batch_size: int,
    commits: bool,
) -> None:
    """The batch waits for the other call. No row is inserted twice, none is missing, and the counts have them all."""
    add_assignments(owner, 5)
    make_service(5).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    sent = owner.execute(DELETE_ALL).fetchall()[2]
    other_session.execute(INSERT, sent)  # and has not committed
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(make_service(batch_size).work, DispatchRequest(run_id, TODAY, ALL), 5)
        assert eventually(lambda: owner.execute(WAITS).fetchone() == (1,))
        other_session.commit() if commits else other_session.rollback()
        assert DispatchResult(Counts(5, 5, 0)) == call.result()
    assert 5 == count(owner, "notifications") == len(notified(owner))
