"""Shards, batches, cursors and budgets: every open assignment is looked at exactly once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from handlers.scheduler_body import RunsBody, answer
from ops.local.server import Server
from ops.migrations import migrate
from reminders.database import Connection
from reminders.errors import AsOfRefused
from reminders.scheduling.service import ReminderSchedulerService
from reminders.scheduling.work import PLAN_LIMIT, Counts, DispatchRequest, DispatchResult, Shard, shards_from
from tests.contacts import today
from tests.existing import project_on
from tests.factories import TODAY, add_assignment, add_assignments, add_run, count, notified
from tests.helpers.cases import first
from tests.helpers.services import MakeService, Ticking, calls_until_done

ALL = Shard()


@pytest.mark.parametrize("shards", first(1, [3, 1, 2, 7, 64]))
@pytest.mark.parametrize("batch_size", first(3, [3, 7, 50_000, 1, 6, 8]))
def test_batches_and_shards_of_any_size(
    owner: Connection, make_service: MakeService, run_id: UUID, batch_size: int, shards: int
) -> None:
    """Wherever the ids are divided, all assignments are evaluated once and notified once."""
    ids = add_assignments(owner, 7)
    service = make_service(batch_size)
    divided = shards_from(UUID(int=i * (1 << 128) // shards) for i in range(shards))
    done = [service.work(DispatchRequest(run_id, TODAY, shard), budget=5) for shard in divided]
    assert (7, 7) == (sum(p.counts.evaluated for p in done), sum(p.counts.dispatched for p in done))
    assert {(i, "reminder") for i in ids} == notified(owner)


def test_ids_at_the_very_ends(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """The lowest and the highest uuid there are get their reminder, and the walk ends after the highest."""
    ends = [UUID(int=0), UUID(int=(1 << 128) - 1)]
    for end in ends:
        add_assignment(owner, assignment_id=end)
    progress = make_service(1).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert DispatchResult(Counts(2, 2, 0)) == progress


@pytest.mark.parametrize("batch_size", first(3, [2, 5, 6, 1, 3, 4]))
def test_no_budget(owner: Connection, make_service: MakeService, run_id: UUID, batch_size: int) -> None:
    """A call without time still does one batch and says where to go on; no assignment is counted twice."""
    add_assignments(owner, 5)
    service = make_service(batch_size, Ticking())
    made = calls_until_done(lambda work: service.work(work, budget=0), DispatchRequest(run_id, TODAY, ALL))
    assert [min(batch_size, 5)] == [made[0].counts.evaluated]
    assert 5 == sum(progress.counts.evaluated for progress in made)
    assert 5 == count(owner, "notifications")


def test_budget_ends_between_batches(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """When the budget is over, no further batch begins, and the cursor is the id after the last one."""
    ids = add_assignments(owner, 10)
    # The clock is looked at for the deadline, for each batch's limits, and before each batch but the first.
    progress = make_service(2, Ticking()).work(DispatchRequest(run_id, TODAY, ALL), budget=4)
    assert 4 == progress.counts.evaluated
    assert UUID(int=ids[3].int + 1) == progress.next_cursor


def test_statement_ends_soon_after_the_budget(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """PostgreSQL cancels it, so that the service can still answer: at the end of the budget and a grace of 2 s."""
    add_assignment(owner)
    owner.execute("CREATE TABLE public.seen (statement_timeout text)")
    owner.execute("GRANT INSERT ON public.seen TO reminder_scheduler")
    owner.execute(
        """
        CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.seen VALUES (current_setting('statement_timeout')); RETURN NULL;
        END $$;
        CREATE TRIGGER look AFTER INSERT ON notifications EXECUTE FUNCTION public.look()
        """
    )
    make_service(10, lambda: 100.0).work(DispatchRequest(run_id, TODAY, ALL), budget=7)
    assert [("9s",)] == owner.execute("SELECT * FROM public.seen").fetchall()


def test_call_repeated_with_the_same_run(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """The answer of a call was lost: the second one dispatches nothing and counts the same."""
    add_assignments(owner, 5, gap=25)
    add_assignment(owner, 25, coordinator_id=None)
    work = DispatchRequest(run_id, TODAY, ALL)
    first, again = (make_service(2).work(work, budget=5) for _ in range(2))
    assert DispatchResult(Counts(6, 11, 0, without_recipient=1)) == first
    assert first == again
    assert 11 == count(owner, "notifications")


def test_call_repeated_after_a_half(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """The first try died half-way: the second one counts what the first had dispatched as well."""
    add_assignments(owner, 6)
    make_service(2, Ticking()).work(DispatchRequest(run_id, TODAY, ALL), budget=0)
    assert 2 == count(owner, "notifications")
    assert DispatchResult(Counts(6, 6, 0)) == make_service(2).work(DispatchRequest(run_id, TODAY, ALL), budget=5)


def test_another_run_the_same_day(owner: Connection, make_service: MakeService) -> None:
    """A second run finds everything dispatched: it counts nothing and sends nothing."""
    add_assignments(owner, 5)
    dispatched = [
        make_service().work(DispatchRequest(add_run(owner, as_of=TODAY), TODAY, ALL), budget=5).counts.dispatched
        for _ in range(2)
    ]
    assert [5, 0] == dispatched


def test_nothing_to_do(make_service: MakeService, run_id: UUID) -> None:
    """An empty table is done at once."""
    assert DispatchResult() == make_service().work(DispatchRequest(run_id, TODAY, ALL), budget=5)


def test_dry_run(owner: Connection, make_service: MakeService) -> None:
    """A dry run names whom a run would notify, in the future too, and needs no run."""
    assignment = add_assignment(owner, 5)
    work = DispatchRequest(None, TODAY + timedelta(days=15), ALL, dry_run=True)
    progress = make_service().work(work, budget=5)
    assert (1, 2, 0) == (progress.counts.evaluated, progress.counts.dispatched, progress.counts.failed)
    assert [("escalation", 20, assignment), ("reminder", 20, assignment)] == sorted(
        (p.kind, p.gap_days, p.assignment_id) for p in progress.would_notify
    )
    assert 0 == count(owner, "notifications")


def test_dry_run_says_what_the_run_then_does(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """Between a dry run and a run on the same state there is no difference but the rows."""
    add_assignments(owner, 9, gap=20)
    add_assignment(owner, 20, coordinator_id=None)
    planned = make_service(4).work(DispatchRequest(None, TODAY, ALL, dry_run=True), budget=5)
    done = make_service(4).work(DispatchRequest(run_id, TODAY, ALL), budget=5)
    assert done == replace(planned, would_notify=())
    assert notified(owner) == {(p.assignment_id, p.kind) for p in planned.would_notify}


def test_dry_run_of_a_day_far_ahead(owner: Connection, make_service: MakeService) -> None:
    """Two years ahead is refused."""
    ahead = today(owner) + timedelta(days=730)
    with pytest.raises(AsOfRefused, match="at most 366 days ahead"):
        make_service().work(DispatchRequest(None, ahead, ALL, dry_run=True), budget=5)


def test_dry_run_over_many(owner: Connection, make_service: MakeService) -> None:
    """A dry run counts all, but names at most as many as fit in an answer."""
    add_assignments(owner, 700, gap=20)
    progress = make_service(300).work(DispatchRequest(None, TODAY, ALL, dry_run=True), budget=5)
    assert (700, 1400, PLAN_LIMIT) == (
        progress.counts.evaluated,
        progress.counts.dispatched,
        len(progress.would_notify),
    )


def test_numbers_as_ids(server: Server) -> None:
    """Every assignment is in exactly one shard and one call, from the lowest number to the highest, through JSON."""
    with project_on(server, "bigint_ids") as project:
        migrate(project.dsn)
        run_id = str(add_run(project.connection, as_of=TODAY))
        with psycopg.connect(project.dsn, autocommit=True, prepare_threshold=None) as connection:
            service = ReminderSchedulerService(connection, 1, time.monotonic)
            calls = [cursor for shard in shards_from([-7, 3]) for cursor in cursors(service, run_id, shard)]
        done = project.connection.execute("SELECT assignment_id, count(*) FROM notifications GROUP BY 1").fetchall()
        assert {(-(2**63), 2), (-7, 2), (0, 2), (3, 2), (2**63 - 1, 2)} == set(done)
    # A cursor is the id after the last one of the batch, so the shard of the highest number ends with its batch.
    assert [None, 1 - 2**63, None, -6, 1, None, 4] == calls


def cursors(service: ReminderSchedulerService, run_id: str, shard: Shard) -> Iterator[int | None]:
    """Call after call of one shard, through JSON; a budget of nothing makes each one batch."""
    cursor = None
    while True:
        yield cursor
        body = {"run_id": run_id, "as_of": TODAY.isoformat(), "shard": asdict(shard), "budget_ms": 1}
        asked = RunsBody.model_validate_json(json.dumps(body | {"cursor": cursor}))
        cursor = json.loads(json.dumps(answer(service.work(asked.request(), budget=0), dry_run=False)))["next_cursor"]
        if cursor is None:
            return


def test_batch_without_failures_has_no_error(owner: Connection, make_service: MakeService, run_id: UUID) -> None:
    """A reason is given only where an assignment failed, so that a later failure gets its own."""
    add_assignments(owner, 3)
    assert make_service(2).work(DispatchRequest(run_id, TODAY, ALL), budget=5).first_error is None
