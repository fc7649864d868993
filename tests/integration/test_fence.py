"""A run that is over dispatches nothing more, and being declared over waits for the batch in flight."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString
from uuid import UUID, uuid4

import pytest

from reminders.database import Connection
from reminders.errors import RunSettledElsewhere
from reminders.runs.ledger import Ledger
from reminders.runs.records import Outcome, RunStatus
from reminders.scheduling.work import Counts, DispatchRequest, Shard
from tests.factories import TODAY, add_assignments, add_run, count, runs
from tests.helpers.cases import first
from tests.helpers.connections import AsRole
from tests.helpers.services import ClockWithAction, MakeService
from tests.helpers.waiting import eventually

ALL = Shard()


@pytest.mark.parametrize("status", first(2, ["success", "failed", "skipped", None]))
def test_run_that_does_not_run(owner: Connection, make_service: MakeService, status: str | None) -> None:
    """A settled run, and one that was never there, dispatch nothing."""
    add_assignments(owner, 3)
    run_id = add_run(owner, status) if status else uuid4()
    with pytest.raises(RunSettledElsewhere):
        make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert 0 == count(owner, "notifications")


def test_run_settled_between_two_batches(
    owner: Connection, make_service: MakeService, run_id: UUID, ledger: Ledger
) -> None:
    """What was dispatched stays; the next batch finds the fence."""
    add_assignments(owner, 6)

    def settle() -> None:
        ledger.settle(run_id, Outcome(RunStatus.FAILED, Counts(), error_message="abandoned: by a test", abandoned=True))

    # Looks: the deadline, the first batch's limits, before the second batch.
    service = make_service(2, ClockWithAction(3, settle))
    with pytest.raises(RunSettledElsewhere):
        service.work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert 2 == count(owner, "notifications")


# The second one is for code that was deployed before.
HOLD = pytest.mark.parametrize("hold", ["SELECT hold_run_date(%s) IS NOT NULL", "SELECT hold_run(%s)"])


@HOLD
def test_settling_waits_for_the_batch_in_flight(
    owner: Connection, as_role: AsRole, run_id: UUID, ledger: Ledger, hold: LiteralString
) -> None:
    """A run cannot be declared over while a batch of it may still commit."""
    batch = as_role("reminder_scheduler")
    batch.execute("BEGIN")
    assert (True,) == batch.execute(hold, [run_id]).fetchone()
    waiting = "SELECT FROM pg_locks WHERE NOT granted"
    with ThreadPoolExecutor() as pool:
        settling = pool.submit(ledger.settle, run_id, Outcome(RunStatus.FAILED, Counts(), error_message="abandoned: x"))
        assert eventually(lambda: bool(owner.execute(waiting).fetchall()))
        assert ["running"] == [run["status"] for run in runs(owner)]
        batch.execute("COMMIT")
        assert "failed" == settling.result(30).status


@HOLD
def test_two_batches_of_one_run_do_not_wait_for_each_other(as_role: AsRole, run_id: UUID, hold: LiteralString) -> None:
    """Shards hold the same row at once: FOR SHARE, not FOR UPDATE."""
    for connection in (as_role("reminder_scheduler"), as_role("reminder_scheduler")):
        connection.execute("BEGIN")
        connection.execute("SET LOCAL lock_timeout = '200ms'")
        assert (True,) == connection.execute(hold, [run_id]).fetchone()
