"""
Rows that the application forbids, through the whole handler: they alone are missing, and finding them costs little.

A constraint that the application adds to `notifications` later is none of our business, until a reminder breaks it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from uuid import UUID

import pytest

from ops.local.stack import LocalStack
from reminders.database import Connection
from reminders.errors import AssignmentsFailed
from tests.factories import COORDINATOR, add_assignments
from tests.faults.dependencies.days import TODAY, Days
from tests.faults.dependencies.impatient_scheduler import BATCH_SIZE
from tests.helpers.cases import first
from tests.proxy import Wire

# BEGIN, the limits, the fence, the batch, and COMMIT or ROLLBACK.
STATEMENTS_IN_A_BATCH = 5


@pytest.fixture
def mentors(owner: Connection, assignments: list[UUID]) -> list[UUID]:
    """Of those who are due, in order, each with a row in a table that notifications refer to."""
    owner.execute("UPDATE assignments SET peer_mentor_id = id")
    owner.execute("CREATE TABLE people AS SELECT peer_mentor_id AS id FROM assignments")
    owner.execute("INSERT INTO people VALUES (%s)", [COORDINATOR])
    owner.execute("ALTER TABLE people ADD PRIMARY KEY (id)")
    owner.execute("ALTER TABLE notifications ADD FOREIGN KEY (recipient_id) REFERENCES people (id)")
    return assignments


@pytest.mark.parametrize("deleted", first(1, [[2], [0, 1, 6]]), ids=["one", "three"])
def test_mentor_who_was_deleted(days: Days, owner: Connection, mentors: list[UUID], deleted: list[int]) -> None:
    """All others are notified; on a day on which nothing else is due, the run fails and says so."""
    gone = [mentors[n] for n in deleted]
    owner.execute("DELETE FROM people WHERE id = ANY (%s)", [gone])
    assert len(gone) == days.expect_success()["assignments_failed"]
    row = days.expect_failure(AssignmentsFailed, "that were due failed: ForeignKeyViolation 23503")
    assert row and len(gone) == row["assignments_failed"]
    owner.execute("INSERT INTO people SELECT unnest(%s::uuid [])", [gone])
    days.check_final_state()


def test_mentor_who_comes_back(days: Days, owner: Connection, mentors: list[UUID]) -> None:
    """What a day could not do, the next one does."""
    owner.execute("DELETE FROM people WHERE id = %s", [mentors[2]])
    assert 1 == days.expect_success()["assignments_failed"]
    owner.execute("INSERT INTO people VALUES (%s)", [mentors[2]])
    summary = days.expect_success()
    assert (0, 1) == (summary["assignments_failed"], summary["reminders_dispatched"])
    days.check_final_state()


def test_check_that_the_application_added(days: Days, owner: Connection, assignments: list[UUID]) -> None:
    """An assignment is skipped as a whole: with its reminder, its escalation is missing as well."""
    owner.execute("ALTER TABLE notifications ADD CONSTRAINT app CHECK (kind <> 'reminder' OR gap_days < 40)")
    assert 2 == days.expect_success()["assignments_failed"]
    owner.execute("ALTER TABLE notifications DROP CONSTRAINT app")
    days.check_final_state()


@pytest.fixture
def wire(stack: LocalStack) -> Iterator[Wire]:
    """Between the scheduler and its database."""
    with Wire(stack.server.dsn("reminder_scheduler", stack.database)) as wire:
        stack.aws.put_secret(stack.scheduler_environment["DATABASE_SECRET"], wire.dsn)
        yield wire


def forbid(owner: Connection, ids: Iterable[UUID]) -> None:
    listed = ", ".join(f"'{i}'" for i in ids)
    owner.execute(f"ALTER TABLE notifications ADD CONSTRAINT app CHECK (assignment_id NOT IN ({listed}))".encode())


@pytest.mark.parametrize(
    "poisoned", first(1, [[0, 100, 199], [], [77], [3, 4, 5, 90, 91, 150, 151, 152, 153, 154]]), ids=len
)
def test_cost_of_poison(stack: LocalStack, owner: Connection, wire: Wire, poisoned: list[int]) -> None:
    """
    k rows among n cost at most 2 k log2(b) more batches of b than none, and one look-up each.

    Linear in what is broken, logarithmic in the batch; not in the number of assignments.
    """
    ids = add_assignments(owner, 200, today=TODAY)
    forbid(owner, [ids[n] for n in poisoned] or [UUID(int=0)])
    days = Days(stack, owner)
    summary = days.expect_success()
    assert (200 - len(poisoned), len(poisoned)) == (summary["reminders_dispatched"], summary["assignments_failed"])
    # One more for the end: the last batch that is full does not know that it is the last.
    batches = math.ceil(200 / BATCH_SIZE) + 1 + 2 * len(poisoned) * math.ceil(math.log2(BATCH_SIZE))
    # The first statement of a call asks which tables the project has.
    assert len(wire.statements) <= 1 + STATEMENTS_IN_A_BATCH * batches + len(poisoned)
    owner.execute("ALTER TABLE notifications DROP CONSTRAINT app")
    days.check_final_state()
