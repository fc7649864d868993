"""Rows that make their batch fail: skipped one by one, counted, named in the log; the rest goes through."""

from __future__ import annotations

import math
from collections.abc import Iterable
from uuid import UUID

import psycopg
import pytest

from ops.local.server import Server
from reminders import telemetry
from reminders.database import Connection
from reminders.errors import DatabaseError
from reminders.scheduling.ids import AssignmentId
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Shard
from tests.factories import TODAY, add_assignment, add_assignments, add_run, count, notified
from tests.helpers.cases import first
from tests.helpers.services import MakeService, Ticking, calls_until_done
from tests.proxy import Wire

ALL = Shard()


def forbid(owner: Connection, ids: Iterable[UUID]) -> None:
    """No notification may be inserted for these: error 23514."""
    listed = ", ".join(f"'{i}'" for i in ids)
    owner.execute(f"ALTER TABLE notifications ADD CHECK (assignment_id NOT IN ({listed}))".encode())


@pytest.mark.parametrize("batch_size", first(1, [2, 1, 8, 100]))
@pytest.mark.parametrize("poisoned", first(3, [[0, 6, 12], [3, 4], list(range(13)), [0], [7], [12]]))
def test_poison_rows(
    owner: Connection, make_service: MakeService, run_id: UUID, batch_size: int, poisoned: list[int]
) -> None:
    """Wherever poison stands, it alone is missing, and every assignment is evaluated once."""
    ids = add_assignments(owner, 13)
    bad = [ids[n] for n in poisoned]
    forbid(owner, bad)
    progress = make_service(batch_size).work(DispatchRequest(run_id, TODAY, ALL), budget=30)
    assert DispatchResult(Counts(13, 13 - len(bad), len(bad))) == progress
    assert {(i, "reminder") for i in ids if i not in bad} == notified(owner)


INFINITE = [("last_contact_date", "infinity"), ("last_contact_date", "-infinity"), ("assigned_at", "infinity")]


@pytest.mark.parametrize("dry_run", first(1, [False, True]))
@pytest.mark.parametrize(("column", "date"), INFINITE)
def test_date_that_cannot_be_counted_with(
    owner: Connection,
    make_service: MakeService,
    run_id: UUID,
    column: str,
    date: str,
    dry_run: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An infinite date is counted as failed and named in the log; its batch is not split, a dry run's neither."""
    ids = add_assignments(owner, 9)
    owner.execute("UPDATE assignments SET last_contact_date = NULL WHERE id = %s", [ids[4]])
    owner.execute(f"UPDATE assignments SET {column} = '{date}' WHERE id = %s".encode(), [ids[4]])
    logged: list[object] = []
    monkeypatch.setattr(telemetry.logger, "warning", lambda message, extra: logged.append(extra["assignment_ids"]))
    service = make_service(9)
    halved: list[object] = []
    monkeypatch.setattr(service, "_skip_failing_row", lambda *row: halved.append(row))
    progress = service.work(DispatchRequest(None if dry_run else run_id, TODAY, ALL, dry_run=dry_run), budget=30)
    assert (9, 8, 1) == (progress.counts.evaluated, progress.counts.dispatched, progress.counts.failed)
    assert ([] if dry_run else [[str(ids[4])]]) == logged
    assert [] == halved


@pytest.mark.parametrize(("date", "dispatched"), [("0044-03-15 BC", 2), ("12026-11-01", 0)])
def test_date_that_python_does_not_know(
    owner: Connection, make_service: MakeService, run_id: UUID, date: str, dispatched: int
) -> None:
    """A date before year 1 is due for both, one after 9999 for none; Python reads neither."""
    add_assignment(owner)
    owner.execute("UPDATE assignments SET last_contact_date = %s", [date])
    assert DispatchResult(Counts(1, dispatched, 0)) == make_service().work(
        DispatchRequest(run_id, TODAY, ALL), budget=30
    )


def test_trigger_of_the_application_that_raises(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """An exception of someone's trigger is a row's fault as well."""
    ids = add_assignments(owner, 5)
    owner.execute(
        f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF new.assignment_id = '{ids[2]}' THEN RAISE 'Anna Smith has moved'; END IF; RETURN new; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON notifications FOR EACH ROW EXECUTE FUNCTION refuse();
        """.encode()
    )
    assert DispatchResult(Counts(5, 4, 1)) == make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=30)


def test_poison_is_named_and_its_values_are_not(
    owner: Connection, make_service: MakeService, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has the assignment's id and PostgreSQL's reason, and nothing of the row."""
    lines: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(telemetry.logger, "error", lambda text, extra: lines.append((text, extra)))
    poison = add_assignment(owner)
    forbid(owner, [poison])
    make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=30)
    ((text, extra),) = lines
    assert "assignment skipped: the database refuses it" == text
    assert str(poison) == extra["assignment_id"]
    assert "CheckViolation 23514" in extra["reason"]
    assert "Failing row" not in extra["reason"]


def test_one_poison_row_among_many_costs_few_batches(owner: Connection, server: Server, database: str) -> None:
    """Splitting finds the row in O(log n) batches: two for each halving."""
    ids = add_assignments(owner, 1000)
    forbid(owner, [ids[617]])
    run_id = add_run(owner, as_of=TODAY)
    with (
        Wire(server.dsn("reminder_scheduler", database)) as wire,
        psycopg.connect(wire.dsn, autocommit=True, prepare_threshold=None) as connection,
    ):
        service = ReminderSchedulerService(connection, 1000, lambda: 0.0)
        assert DispatchResult(Counts(1000, 999, 1)) == service.work(DispatchRequest(run_id, TODAY, ALL), budget=1)
        batches = sum("hold_run" in statement for statement in wire.statements)
    assert batches <= 2 * math.ceil(math.log2(1000)) + 2


@pytest.mark.parametrize("batch_size", first(1, [8, 2, 100]))
@pytest.mark.parametrize("poisoned", first(2, [[7], list(range(13)), [0], [0, 1]]))
def test_budget_that_ends_while_a_batch_is_split(
    owner: Connection, make_service: MakeService, run_id: UUID, batch_size: int, poisoned: list[int]
) -> None:
    """Every call comes a step further, so that a run of many calls always ends; nothing is counted twice."""
    ids = add_assignments(owner, 13)
    bad = [ids[n] for n in poisoned]
    forbid(owner, bad)
    service, cursors = make_service(batch_size, Ticking()), set[AssignmentId | None]()

    def call(work: DispatchRequest) -> DispatchResult:
        assert work.cursor not in cursors, "the call before came no step further"
        cursors.add(work.cursor)
        return service.work(work, budget=0)

    made = calls_until_done(call, DispatchRequest(run_id, TODAY, ALL))
    assert (13, 13 - len(bad), len(bad)) == (
        sum(progress.counts.evaluated for progress in made),
        sum(progress.counts.dispatched for progress in made),
        sum(progress.counts.failed for progress in made),
    )


def test_fault_that_no_splitting_cures(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """A missing right is not a row's fault: the call fails at once, says so, and dispatches nothing."""
    add_assignments(owner, 8)
    owner.execute("REVOKE INSERT (gap_days) ON notifications FROM reminder_scheduler")
    with pytest.raises(DatabaseError, match="InsufficientPrivilege 42501: permission denied for table notifications"):
        make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=30)
    assert 0 == count(owner, "notifications")
