"""The ledger's rows: opened, settled once, rescued, counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation

from ops.local.server import Server, admin
from reminders.database import Connection
from reminders.errors import EventError, RunSettledElsewhere, SchedulerError, TickDone
from reminders.limits import LIMITS
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger
from reminders.runs.records import Outcome, RunStatus, Tick
from reminders.scheduling.work import Counts, RunTotals
from tests.factories import TICK, add_run, count, runs
from tests.helpers.cases import table
from tests.helpers.connections import AsRole
from tests.helpers.services import make_ledger
from tests.proxy import Wire, fatal

SCHEDULED = RunRequest("schedule", "e-1", TICK)
NOW = Tick(TICK, datetime.now(UTC))
SUCCESS = Outcome(RunStatus.SUCCESS, Counts(10, 4, 1))
FAILURE = Outcome(RunStatus.FAILED, Counts(10, 4, 1), error_message="it broke", http_status=503)


def test_run_that_goes(owner: Connection, ledger: Ledger) -> None:
    """The row is there for everyone before the work begins."""
    opened = ledger.open(SCHEDULED, NOW)
    (run,) = runs(owner)
    assert (opened.id, opened.started_at) == (run["id"], run["started_at"])
    assert ("running", "schedule", "e-1", TICK) == tuple(
        run[name] for name in ("status", "trigger_source", "event_id", "scheduled_for")
    )
    assert (None, None, 0) == (run["completed_at"], run["duration_ms"], run["consecutive_failure_count"])


def test_run_that_is_skipped(owner: Connection, ledger: Ledger) -> None:
    """Born complete, with its reason, and without a result."""
    ledger.skip(SCHEDULED, NOW, "duplicate_tick")
    (run,) = runs(owner)
    assert ("skipped", "duplicate_tick", None) == (run["status"], run["note"], run["duration_ms"])
    assert run["completed_at"] == run["started_at"]


def test_success(owner: Connection, ledger: Ledger) -> None:
    """Counts, duration and a failure count of 0."""
    settled = ledger.settle(ledger.open(SCHEDULED, NOW).id, SUCCESS)
    (run,) = runs(owner)
    assert ("success", 10, 4, 1, 0, None, None) == tuple(
        run[name]
        for name in (
            "status",
            "assignments_evaluated",
            "reminders_dispatched",
            "assignments_failed",
            "consecutive_failure_count",
            "error_message",
            "http_status",
        )
    )
    assert 0 <= run["duration_ms"] < 5000
    assert abs(settled.duration_ms - run["duration_ms"]) <= 1


def test_failure(owner: Connection, ledger: Ledger) -> None:
    """The scheduler's status and the error, beside what was done until then."""
    error = SchedulerError("scheduler answered 503: try later", 503)
    ledger.settle(ledger.open(SCHEDULED, NOW).id, Outcome.of_error(error, RunTotals(Counts(10, 4, 1))))
    (run,) = runs(owner)
    assert ("failed", 503, "scheduler answered 503: try later", 4, 1) == tuple(
        run[name]
        for name in ("status", "http_status", "error_message", "reminders_dispatched", "consecutive_failure_count")
    )


@pytest.mark.parametrize(("first", "second"), [(SUCCESS, FAILURE), (FAILURE, SUCCESS), (SUCCESS, SUCCESS)])
def test_run_settled_twice(owner: Connection, ledger: Ledger, first: Outcome, second: Outcome) -> None:
    """The first result stands, and the second caller gets it."""
    run_id = ledger.open(SCHEDULED, NOW).id
    ledger.settle(run_id, first)
    before = runs(owner)
    with pytest.raises(RunSettledElsewhere):
        ledger.settle(run_id, second)
    assert before == runs(owner)


def test_run_settled_twice_by_a_role_that_no_policy_stops(owner: Connection) -> None:
    """The query says 'once' by itself: it does not lean on row level security."""
    ledger = make_ledger(owner, lambda: owner)
    run_id = ledger.open(SCHEDULED, NOW).id
    ledger.settle(run_id, SUCCESS)
    with pytest.raises(RunSettledElsewhere):
        ledger.settle(run_id, FAILURE)


@pytest.fixture
def cut(server: Server, database: str) -> Callable[[Connection], None]:
    """Ends a connection from the server's side."""

    def end(connection: Connection) -> None:
        with admin(server, database) as superuser:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])

    return end


def test_connection_lost_before_settling(owner: Connection, as_role: AsRole, cut: Callable[[Connection], None]) -> None:
    """A pooler that restarts during the run does not leave it unsettled."""
    first = as_role("cron_runner")
    ledger = make_ledger(first, lambda: as_role("cron_runner"))
    run_id = ledger.open(SCHEDULED, NOW).id
    cut(first)
    assert "success" == ledger.settle(run_id, SUCCESS).status
    assert ["success"] == [run["status"] for run in runs(owner)]


@pytest.mark.parametrize(
    ("outcome", "last_words"),
    [(SUCCESS, b""), (FAILURE, b""), (SUCCESS, fatal("XX000", "the server connection was lost"))],
    ids=["success", "failure", "the words of Supabase's pooler"],
)
def test_answer_lost_after_settling(
    owner: Connection, server: Server, database: str, as_role: AsRole, outcome: Outcome, last_words: bytes
) -> None:
    """The answer to the COMMIT was lost: the row is recognised as our own, and counted once."""
    with (
        Wire(server.dsn("cron_runner", database)) as wire,
        psycopg.connect(wire.dsn, autocommit=True, prepare_threshold=None) as connection,
    ):
        ledger = make_ledger(connection, lambda: as_role("cron_runner"))
        run_id = ledger.open(SCHEDULED, NOW).id
        wire.last_words = last_words
        wire.cut_after("COMMIT")
        settled = ledger.settle(run_id, outcome)
    (run,) = runs(owner)
    assert (outcome.status, outcome.status) == (settled.status, run["status"])
    assert int(outcome.status == "failed") == run["consecutive_failure_count"]


def test_answer_lost_and_settled_by_another(
    owner: Connection, as_role: AsRole, cut: Callable[[Connection], None]
) -> None:
    """While we were away the run was declared abandoned: that stands."""
    first = as_role("cron_runner")
    ledger = make_ledger(first, lambda: as_role("cron_runner"))
    run_id = ledger.open(SCHEDULED, NOW).id
    make_ledger(as_role("cron_runner"), lambda: pytest.fail("reconnected")).rescue_abandoned()
    cut(first)
    with pytest.raises(RunSettledElsewhere):
        ledger.settle(run_id, SUCCESS)
    assert ["failed"] == [run["status"] for run in runs(owner)]


def test_abandoned_runs(owner: Connection, ledger: Ledger) -> None:
    """Each becomes a failure that counts, in the order they began; how long they took is unknown."""
    begun = [TICK - timedelta(days=n) for n in (2, 1)]
    for moment in begun:
        add_run(owner, scheduled_for=moment, started_at=moment)
    assert 2 == ledger.rescue_abandoned()
    assert [("failed", 1, None), ("failed", 2, None)] == [
        (run["status"], run["consecutive_failure_count"], run["duration_ms"]) for run in runs(owner)
    ]
    message = f"abandoned: the process of the run started {begun[0]:%Y-%m-%d} 06:00:00 UTC is gone"
    assert message == runs(owner)[0]["error_message"]
    assert 0 == ledger.rescue_abandoned()


def test_abandoned_run_of_another_job(owner: Connection, ledger: Ledger) -> None:
    """Our lock says nothing about other jobs' rows."""
    add_run(owner, job_name="another-job")
    assert 0 == ledger.rescue_abandoned()
    assert ["running"] == [run["status"] for run in runs(owner)]


def test_abandoned_run_held_by_a_frozen_batch(owner: Connection, as_role: AsRole) -> None:
    """Today's reminders do not wait for it: it is left to the next run, and others are rescued."""
    limits = replace(LIMITS, settle=replace(LIMITS.settle, lock=0.1))
    ledger = make_ledger(as_role("cron_runner"), lambda: as_role("cron_runner"), limits)
    held, free = (add_run(owner, started_at=TICK - timedelta(hours=n)) for n in (2, 1))
    batch = as_role("reminder_scheduler")
    batch.execute("BEGIN")
    batch.execute("SELECT hold_run_date(%s)", [held])
    assert 1 == ledger.rescue_abandoned()
    assert {held: "running", free: "failed"} == {run["id"]: run["status"] for run in runs(owner)}
    batch.execute("ROLLBACK")
    assert 1 == ledger.rescue_abandoned()


TOMORROW = datetime.now(UTC).date() + timedelta(days=1)


@table(
    ("request_", "as_of"),
    [
        (SCHEDULED, TICK.date()),
        (RunRequest("manual", as_of=date(2024, 2, 29)), date(2024, 2, 29)),
        (RunRequest("manual", as_of=TOMORROW + timedelta(days=1)), TOMORROW + timedelta(days=1)),
        (RunRequest("schedule", scheduled_for=datetime(2020, 1, 1, 23, 59, 59, tzinfo=UTC)), date(2020, 1, 1)),
    ],
)
def test_day_of_a_tick(ledger: Ledger, request_: RunRequest, as_of: date) -> None:
    """Gaps are counted to the tick's UTC date."""
    assert as_of == ledger.tick(request_).as_of


@table(
    ("ahead", "dry_run", "refusal"),
    [
        (timedelta(minutes=5), False, None),
        (timedelta(minutes=6), False, 'is in the future; for a run now, send {} or {"action": "run"}'),
        (-timedelta(days=7), False, None),
        (-timedelta(days=7, seconds=1), False, 'is more than 7 days ago; for a run now, send {} or {"action": "run"}'),
        (timedelta(days=366), True, None),
        (timedelta(days=367), True, "is more than 366 days ahead; a dry run may look at any past day"),
        (-timedelta(days=20_000), True, None),
    ],
    ids=str,
)
def test_moment_that_a_run_may_stand_for(ahead: timedelta, dry_run: bool, refusal: str | None) -> None:
    """A run is for now and the last 7 days, a dry run for the past and a year ahead; the refusal says what to send."""
    now = datetime(2026, 11, 25, 6, tzinfo=UTC)
    with pytest.raises(EventError, match=re.escape(refusal)) if refusal else nullcontext():
        Tick(now + ahead, now).check_limits(dry_run=dry_run)


def test_tick_of_a_manual_run(owner: Connection, ledger: Ledger) -> None:
    """A run by hand stands for the moment, by the database's clock."""
    tick = ledger.tick(RunRequest("manual"))
    row = owner.execute("SELECT now()").fetchone()
    assert row and abs(row[0] - tick.scheduled_for) < timedelta(seconds=5)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_day_of_a_tick_in_an_odd_session(as_role: AsRole, zone: str) -> None:
    """The session's time zone moves no date."""
    connection = as_role("cron_runner")
    connection.execute("SELECT set_config('TimeZone', %s, false)", [zone])
    tick = make_ledger(connection, lambda: connection).tick(RunRequest("manual"))
    assert tick.scheduled_for.astimezone(UTC).date() == tick.as_of
    tick.check_limits(dry_run=False)


@pytest.mark.parametrize(
    ("row", "done"),
    [
        ({"status": "success"}, True),
        ({"status": "failed"}, False),
        ({"status": "skipped"}, False),
        ({"status": "running"}, False),
        ({"status": "success", "trigger_source": "manual"}, False),
        ({"status": "success", "job_name": "another-job"}, False),
        ({"status": "success", "scheduled_for": TICK + timedelta(microseconds=1)}, False),
        ({"status": "success", "started_at": TICK - timedelta(minutes=4)}, True),
        ({"status": "success", "started_at": TICK - timedelta(minutes=6)}, False),
    ],
)
def test_tick_that_is_done(owner: Connection, ledger: Ledger, row: dict[str, Any], done: bool) -> None:
    """A tick is done when a scheduled run of this job succeeded for it: it gets no row. A manual request does."""
    add_run(owner, **{"scheduled_for": TICK, **row})
    with pytest.raises(TickDone) if done else nullcontext():
        ledger.open(SCHEDULED, NOW)
    ledger.open(RunRequest("manual"), NOW)
    assert 1 + (not done) + 1 == len(runs(owner))


def fail(ledger: Ledger, request: RunRequest) -> int:
    tick = Tick(request.scheduled_for or TICK, datetime.now(UTC))
    return ledger.settle(ledger.open(request, tick).id, FAILURE).consecutive_failure_count


def at(days: int) -> RunRequest:
    return RunRequest("schedule", None, TICK + timedelta(days=days))


def test_failures_in_a_row(ledger: Ledger) -> None:
    """Each tick counts once; what is skipped in between counts nothing."""
    assert 1 == fail(ledger, at(0))
    ledger.skip(at(0), NOW, "advisory_lock_held")
    assert [2, 3] == [fail(ledger, at(1)), fail(ledger, at(2))]


def test_retries_of_a_failed_tick(ledger: Ledger) -> None:
    """One tick is not many failures, however often Lambda tries it."""
    assert [1, 1, 1, 2, 2] == [fail(ledger, at(day)) for day in (0, 0, 0, 1, 1)]


def test_late_retry_of_an_older_tick(ledger: Ledger) -> None:
    """It leaves the count as it is."""
    assert [1, 2, 2] == [fail(ledger, at(day)) for day in (0, 1, 0)]


def test_failures_by_hand(ledger: Ledger) -> None:
    """A manual run is never a retry: each failure counts."""
    manual = RunRequest("manual", scheduled_for=TICK)
    assert [1, 2, 3] == [fail(ledger, manual) for _ in range(3)]


def test_failure_by_hand_after_that_of_the_schedule(ledger: Ledger) -> None:
    """It is none of the schedule's retries, also for the same scheduled time."""
    assert [1, 2] == [fail(ledger, at(0)), fail(ledger, RunRequest("manual", scheduled_for=TICK))]


def test_failures_of_another_job(owner: Connection, ledger: Ledger) -> None:
    """They are not counted."""
    add_run(owner, "failed", job_name="another-job", consecutive_failure_count=7)
    assert 1 == fail(ledger, at(0))


def test_largest_count(owner: Connection, ledger: Ledger) -> None:
    """It stays; a run is settled all the same."""
    add_run(owner, "failed", consecutive_failure_count=2**31 - 1)
    assert 2**31 - 1 == fail(ledger, at(0))


def test_last_success_is_the_newest(owner: Connection, ledger: Ledger) -> None:
    """Of this job, whatever came after it."""
    for days, status in ((5, "success"), (3, "success"), (2, "failed")):
        add_run(owner, status, started_at=TICK - timedelta(days=days))
    add_run(owner, "success", job_name="another-job", started_at=TICK - timedelta(days=1))
    settled = ledger.settle(ledger.open(SCHEDULED, NOW).id, FAILURE)
    assert TICK - timedelta(days=3) == settled.last_success_started_at


def test_runs_that_are_running(owner: Connection, ledger: Ledger) -> None:
    """Only those of this job, oldest first."""
    newer = add_run(owner, started_at=TICK)
    older = add_run(owner, started_at=TICK - timedelta(days=1))
    add_run(owner, job_name="another-job")
    for status in ("success", "failed", "skipped"):
        add_run(owner, status)
    assert [older, newer] == [run.id for run in ledger.running()]


def test_success_in_between(ledger: Ledger) -> None:
    """Success starts the count again; an older tick that fails again after it is a failure of its own."""
    assert [1, 2] == [fail(ledger, at(0)), fail(ledger, at(1))]
    ledger.settle(ledger.open(RunRequest("manual"), NOW).id, SUCCESS)
    assert [1, 1] == [fail(ledger, at(1)), fail(ledger, at(1))]


@table(
    ("constraint", "row"),
    [
        ("status_is_known", {"status": "done", "completed_at": TICK}),
        ("trigger_source_is_known", {"trigger_source": "cosmic"}),
        ("settled_rows_are_complete", {"status": "success", "completed_at": None}),
        ("settled_rows_are_complete", {"status": "running", "completed_at": TICK}),
        ("failed_rows_have_an_error", {"status": "failed", "error_message": None}),
        ("failed_rows_have_an_error", {"status": "success", "error_message": "x"}),
        ("running_rows_have_no_result", {"status": "running", "duration_ms": 1}),
        ("running_rows_have_no_result", {"status": "running", "http_status": 500}),
        ("skipped_rows_did_nothing", {"status": "skipped", "duration_ms": 1}),
        ("skipped_rows_did_nothing", {"status": "skipped", "reminders_dispatched": 1}),
        ("success_ends_the_count", {"status": "success", "consecutive_failure_count": 1}),
        ("duration_is_not_negative", {"status": "success", "duration_ms": -1}),
        ("counts_are_not_negative", {"assignments_failed": -1}),
        ("without_recipient_is_a_count", {"assignments_without_recipient": -1}),
        ("without_recipient_is_a_count", {"status": "skipped", "assignments_without_recipient": 1}),
        ("http_status_is_a_status", {"status": "failed", "http_status": 799}),
    ],
)
def test_row_that_contradicts_itself(owner: Connection, constraint: str, row: dict[str, Any]) -> None:
    """Not even the owner can write it; the constraint's name says which fact it breaks."""
    with pytest.raises(CheckViolation) as caught:
        add_run(owner, **row)
    assert constraint == caught.value.diag.constraint_name
    assert 0 == count(owner, "cron_execution_logs")


def test_run_that_took_longer_than_an_integer_can_say(owner: Connection, ledger: Ledger) -> None:
    """A row that was left for a month is settled all the same."""
    run_id = add_run(owner, started_at=datetime(2020, 1, 1, tzinfo=UTC))
    ledger.settle(run_id, SUCCESS)
    assert [2**31 - 1] == [run["duration_ms"] for run in runs(owner)]


def test_unknown_run(ledger: Ledger) -> None:
    """There is nothing to settle."""
    with pytest.raises(RunSettledElsewhere):
        ledger.settle(UUID(int=9), SUCCESS)
