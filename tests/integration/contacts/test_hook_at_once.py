"""The contact hook among others: real sessions at once, each waiting for the others where it must."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from ops.local.server import MIGRATOR, Server
from reminders.database import Connection
from reminders.scheduling.ids import UUIDS
from reminders.scheduling.service import queries
from tests.contacts import add_pair, add_run, last_contact, log_contact, notifications, one, run, today
from tests.helpers.connections import AsRole

Another = Callable[[], Connection]


@pytest.fixture
def another(server: Server, database: str) -> Iterator[Another]:
    """Makes more sessions of the tables' owner."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def dispatch_one_batch(scheduler: Connection, owner: Connection) -> None:
    """The service's own statement, in a transaction that the caller has opened and will end."""
    now, (first, last) = today(owner), UUIDS.part(0, 1)
    values = {"first": first, "last": last, "size": 1_000, "as_of": now, "run_id": add_run(owner)}
    scheduler.execute(queries.by_name["dispatch_batch"], {**values, "plan_limit": 1_000}).fetchone()


def wait_until_blocked(watcher: Connection, blocked: Connection) -> None:
    deadline = time.monotonic() + 5
    while not one(watcher, "SELECT cardinality(pg_blocking_pids(%s)) > 0", blocked.info.backend_pid):
        assert time.monotonic() < deadline, "no session waits"
        time.sleep(0.005)


def test_contact_during_a_batch(owner: Connection, another: Another, as_role: AsRole, pool: ThreadPoolExecutor) -> None:
    """It waits for the batch to commit, and then resolves the reminder that the batch has just inserted."""
    now, mentor, scheduler = today(owner), another(), as_role("reminder_scheduler")
    pair = add_pair(owner, last=15)
    with scheduler.transaction():
        dispatch_one_batch(scheduler, owner)
        logged: Future[None] = pool.submit(log_contact, mentor, pair, now)
        wait_until_blocked(owner, mentor)
        assert notifications(owner, pair) == []
    logged.result(timeout=30)
    assert notifications(owner, pair) == [("reminder", now - timedelta(days=15), False)]


@pytest.mark.parametrize("undo", [False, True], ids=["committed", "rolled back"])
def test_batch_during_a_contact(owner: Connection, another: Another, as_role: AsRole, undo: bool) -> None:
    """It leaves the pair alone without waiting; whether the contact commits decides what the next run does."""
    now, mentor, scheduler = today(owner), another(), as_role("reminder_scheduler")
    pair = add_pair(owner, last=15)
    with mentor.transaction(force_rollback=undo):
        log_contact(mentor, pair, now)
        run(owner, scheduler, now)
        assert notifications(owner, pair) == []
    run(owner, scheduler, now)
    expected = [("reminder", now - timedelta(days=15), True)] if undo else []
    assert notifications(owner, pair) == expected


@pytest.mark.parametrize(("first", "second"), [(2, 5), (5, 2)])
def test_two_contacts_at_once(
    owner: Connection, another: Another, pool: ThreadPoolExecutor, first: int, second: int
) -> None:
    """The second waits for the first, and the newer day stands, whichever came first."""
    now, one_mentor, other_mentor = today(owner), another(), another()
    pair = add_pair(owner, last=15)
    with one_mentor.transaction():
        log_contact(one_mentor, pair, now - timedelta(days=first))
        waiting: Future[None] = pool.submit(log_contact, other_mentor, pair, now - timedelta(days=second))
        wait_until_blocked(owner, other_mentor)
    waiting.result(timeout=30)
    assert last_contact(owner, pair) == now - timedelta(days=2)


def test_old_contact_waits_for_no_lock(owner: Connection, another: Another) -> None:
    """What would not move the date takes no lock: an import of old activities does not stop the batch."""
    pair, importer = add_pair(owner, last=5), another()
    with importer.transaction():
        log_contact(importer, pair, today(owner) - timedelta(days=9))
        owner.execute("SELECT FROM assignments WHERE id = %s FOR NO KEY UPDATE NOWAIT", [pair])


IMPORT = "INSERT INTO activities (assignment_id, activity_type, recorded_date) SELECT unnest(%s::uuid[]), 'meeting', %s"


def test_pairs_of_one_statement_are_locked_by_id(owner: Connection, another: Another, pool: ThreadPoolExecutor) -> None:
    """Wherever they stand in the table and in the statement: two imports in different orders do not deadlock."""
    low, high = sorted(add_pair(owner, last=15) for _ in range(2))
    owner.execute("UPDATE assignments SET coordinator_id = NULL WHERE id = %s", [low])  # moves it to the end
    importer, other = another(), another()
    importer.execute("SET enable_nestloop = off; SET enable_mergejoin = off")
    with other.transaction():
        other.execute("SELECT FROM assignments WHERE id = %s FOR NO KEY UPDATE", [low])
        imported = pool.submit(importer.execute, IMPORT, [[high, low], today(owner)])
        wait_until_blocked(owner, importer)
        other.execute("SELECT FROM assignments WHERE id = %s FOR NO KEY UPDATE NOWAIT", [high])
    imported.result(timeout=30)


def test_bulk_inserts_and_batches_at_once(
    owner: Connection, another: Another, as_role: AsRole, pool: ThreadPoolExecutor
) -> None:
    """Three imports of the same pairs in different orders, and runs all the while: no deadlock, nothing lost."""
    now = today(owner)
    pairs = [add_pair(owner, last=15) for _ in range(150)]
    done = threading.Event()

    def import_all(session: Connection, seed: int) -> None:
        for days in range(12, 0, -1):
            shuffled = random.Random(seed * days).sample(pairs, len(pairs))
            session.execute(IMPORT, [shuffled, now - timedelta(days=days)])

    def run_on_and_on(session: Connection, watcher: Connection) -> None:
        while not done.is_set():
            run(watcher, session, now)

    running = pool.submit(run_on_and_on, as_role("reminder_scheduler"), another())
    imports = [pool.submit(import_all, another(), seed) for seed in (1, 2, 3)]
    try:
        for each in imports:
            each.result(timeout=9)
    finally:
        done.set()
    running.result(timeout=9)
    yesterday = now - timedelta(days=1)
    assert {last_contact(owner, pair) for pair in pairs} == {yesterday}
    assert open_notifications(owner, pairs) == 0


def open_notifications(owner: Connection, pairs: list[UUID]) -> int:
    statement = "SELECT count(*) FROM notifications WHERE assignment_id = ANY (%s) AND resolved_at IS NULL"
    return int(one(owner, statement, pairs))


def test_hook_is_quick_whatever_the_session_did_before(owner: Connection, another: Another) -> None:
    """
    One activity in 10 ms, 10,000 in a second, in a session that has just done the other.

    A plan that is kept from the first call would fit only one of the two.
    """
    owner.execute(
        """
        INSERT INTO assignments (id, org_id, peer_mentor_id, assigned_at, last_contact_date)
        SELECT md5(n::text)::uuid, gen_random_uuid(), gen_random_uuid(), '2025-01-01', '2025-01-01'
        FROM generate_series(1, 20000) AS n
        """
    )
    owner.execute(
        """
        INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days)
        SELECT id, peer_mentor_id, 'reminder', '2025-01-01', 15 FROM assignments
        """
    )
    owner.execute("ANALYZE assignments, notifications")

    def took(session: Connection, rows: int, skip: int) -> float:
        began = time.perf_counter()
        session.execute(
            """
            INSERT INTO activities (assignment_id, activity_type, recorded_date)
            SELECT md5((%s + n)::text)::uuid, 'meeting', '2025-02-01' FROM generate_series(1, %s) AS n
            """,
            [skip, rows],
        )
        return time.perf_counter() - began

    bulk_first, single_first = another(), another()
    many = took(bulk_first, 10_000, 0)
    one_after_many = min(took(bulk_first, 1, 10_000 + n) for n in range(5))
    alone = min(took(single_first, 1, 11_000 + n) for n in range(5))
    many_after_one = took(single_first, 8_000, 12_000)
    # On a busy machine all take longer.
    assert max(one_after_many, alone) < max(0.01, many / 50)
    assert max(many, many_after_one) < 10
