"""One run on a real ledger and lock, with a scheduler that does what the test says."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from ops.local.server import Server, admin
from reminders.alerts.outbox import Outbox
from reminders.database import Connection
from reminders.errors import AssignmentsFailed, DeadlineExceeded, EventError, RunSettledElsewhere, SchedulerError
from reminders.limits import LIMITS
from reminders.runs import lifecycle
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger
from reminders.runs.lifecycle import RunDeps
from reminders.runs.lock import RunLock
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.work import Counts, DispatchRequest, DispatchResult, Shard, shards_from
from reminders.telemetry import logger
from tests.factories import TICK, count, runs
from tests.helpers.connections import AsRole
from tests.helpers.services import make_ledger

SCHEDULED = RunRequest("schedule", "e-1", TICK - timedelta(days=1))
MANUAL = RunRequest("manual")
TWO_SHARDS = shards_from([UUID(int=1 << 127)])


@dataclass
class FakeScheduler:
    """Answers 10, 4, 1 for each of two shards; the first one does `act` before."""

    act: Callable[[], object] = lambda: None
    calls: list[DispatchRequest] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)

    def __call__(self, work: DispatchRequest, deadline: float) -> DispatchResult:
        self.calls.append(work)
        self.deadlines.append(deadline)
        if work.shard.index == 0:
            self.act()
        return DispatchResult(Counts(10, 4, 1))

    def fails_with(self, error: BaseException) -> None:
        def fail() -> None:
            raise error

        self.act = fail


@pytest.fixture
def scheduler() -> FakeScheduler:
    return FakeScheduler()


@pytest.fixture
def lock_connection(as_role: AsRole) -> Connection:
    return as_role("cron_runner")


@pytest.fixture
def ledger_connection(as_role: AsRole) -> Connection:
    return as_role("cron_runner")


@pytest.fixture
def deps(
    lock_connection: Connection, ledger_connection: Connection, as_role: AsRole, scheduler: FakeScheduler
) -> RunDeps:
    ledger = make_ledger(ledger_connection, lambda: as_role("cron_runner"))
    return RunDeps(RunLock(lock_connection), ledger, Fanout(scheduler, lambda: TWO_SHARDS), seconds_left=lambda: 60.0)


def statuses(owner: Connection) -> list[str]:
    return [run["status"] for run in runs(owner)]


def test_success(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """The summary and the row tell the same sums, and the scheduler was given the run and its day."""
    summary = lifecycle.run(SCHEDULED, deps)
    (run,) = runs(owner)
    assert (run["id"], "success", 20, 8, 2) == (
        summary.run_id,
        summary.status,
        summary.counts.evaluated,
        summary.counts.dispatched,
        summary.counts.failed,
    )
    assert {(run["id"], TICK.date() - timedelta(days=1), False)} == {
        (work.run_id, work.as_of, work.dry_run) for work in scheduler.calls
    }


def test_row_while_the_scheduler_works(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """Others see 'running' as long as it runs."""
    seen: list[list[str]] = []
    scheduler.act = lambda: seen.append(statuses(owner))
    lifecycle.run(MANUAL, deps)
    assert [["running"]] == seen


def test_time_kept_back(deps: RunDeps, scheduler: FakeScheduler) -> None:
    """The work must end early enough to settle, alert and unlock."""
    began = time.monotonic()
    lifecycle.run(MANUAL, deps)
    assert {True} == {began < deadline <= began + 62 - LIMITS.reserve for deadline in scheduler.deadlines}


@pytest.mark.parametrize(
    ("error", "message", "http_status"),
    [
        (SchedulerError("scheduler answered 500: it broke", 500), "scheduler answered 500: it broke", 500),
        (DeadlineExceeded("no time was left"), "deadline_exceeded: no time was left", None),
        (ZeroDivisionError("Anna Smith"), "unexpected ZeroDivisionError", None),
        (KeyboardInterrupt(), "unexpected KeyboardInterrupt", None),
    ],
)
def test_failure(
    owner: Connection,
    deps: RunDeps,
    scheduler: FakeScheduler,
    error: BaseException,
    message: str,
    http_status: int | None,
) -> None:
    """The very error is raised, after it was written to the ledger in words that are safe."""
    scheduler.fails_with(error)
    with pytest.raises(type(error)) as caught:
        lifecycle.run(MANUAL, deps)
    assert error is caught.value
    assert [("failed", message, http_status)] == [
        (run["status"], run["error_message"], run["http_status"]) for run in runs(owner)
    ]


def test_failure_of_one_shard(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """A failed run keeps the counts of what was done."""
    scheduler.fails_with(SchedulerError("scheduler answered 500", 500))
    with pytest.raises(SchedulerError):
        lifecycle.run(MANUAL, deps)
    (run,) = runs(owner)
    assert ("failed", 10, 4) == (run["status"], run["assignments_evaluated"], run["reminders_dispatched"])


def test_error_while_settling_a_failure(
    owner: Connection, deps: RunDeps, scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The original error wins."""
    monkeypatch.setattr(Ledger, "settle", lambda *_: (_ for _ in ()).throw(ValueError("second")))
    scheduler.fails_with(SchedulerError("first"))
    with pytest.raises(SchedulerError, match="first"):
        lifecycle.run(MANUAL, deps)


def test_error_while_alerting(owner: Connection, deps: RunDeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """A success stays one."""
    monkeypatch.setattr(Outbox, "deliver", lambda *_: (_ for _ in ()).throw(ValueError("channel")))
    assert "success" == lifecycle.run(MANUAL, deps).status
    assert ["success"] == statuses(owner)


@pytest.fixture
def end(server: Server, database: str) -> Callable[[Connection], None]:
    """Ends a connection from the server's side."""

    def terminate(connection: Connection) -> None:
        with admin(server, database) as superuser:
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])

    return terminate


def test_lock_lost_during_the_run(
    owner: Connection,
    deps: RunDeps,
    scheduler: FakeScheduler,
    lock_connection: Connection,
    end: Callable[[Connection], None],
) -> None:
    """A failover took the lock's connection: the fence protects the dispatch, and the run ends well."""
    scheduler.act = lambda: end(lock_connection)
    assert "success" == lifecycle.run(MANUAL, deps).status
    assert ["success"] == statuses(owner)


@pytest.mark.parametrize("error", [None, SchedulerError("it broke")])
def test_ledger_connection_lost_during_the_run(
    owner: Connection,
    deps: RunDeps,
    scheduler: FakeScheduler,
    ledger_connection: Connection,
    end: Callable[[Connection], None],
    error: SchedulerError | None,
) -> None:
    """It is made again to settle."""

    def act() -> None:
        end(ledger_connection)
        if error:
            raise error

    scheduler.act = act
    if error:
        with pytest.raises(SchedulerError, match="it broke"):
            lifecycle.run(MANUAL, deps)
    else:
        lifecycle.run(MANUAL, deps)
    assert ["failed" if error else "success"] == statuses(owner)


def test_settled_by_another_during_the_run(
    owner: Connection, deps: RunDeps, scheduler: FakeScheduler, ledger: Ledger
) -> None:
    """The other's word stands: the run leaves its row so and raises."""
    scheduler.act = ledger.rescue_abandoned
    with pytest.raises(RunSettledElsewhere):
        lifecycle.run(MANUAL, deps)
    (run,) = runs(owner)
    assert ("failed", True) == (run["status"], run["error_message"].startswith("abandoned:"))


def test_fenced_off_during_the_run(owner: Connection, deps: RunDeps, scheduler: FakeScheduler, ledger: Ledger) -> None:
    """The scheduler said 409 because the row was settled: raised, and the row left as it is."""

    def act() -> None:
        ledger.rescue_abandoned()
        raise RunSettledElsewhere("the run is not running")

    scheduler.act = act
    with pytest.raises(RunSettledElsewhere, match="the run is not running"):
        lifecycle.run(MANUAL, deps)
    assert [True] == [run["error_message"].startswith("abandoned:") for run in runs(owner)]


def test_lock_is_held_by_another(owner: Connection, deps: RunDeps, scheduler: FakeScheduler, as_role: AsRole) -> None:
    """Skipped; nothing is rescued, for someone lives, and the scheduler is not called."""
    with RunLock(as_role("cron_runner")).lease(30):
        summary = lifecycle.run(SCHEDULED, deps)
    assert ("skipped", "advisory_lock_held", None) == (summary.status, summary.note, summary.duration_ms)
    assert (["skipped"], []) == (statuses(owner), scheduler.calls)


@pytest.mark.parametrize(
    ("sent", "failed", "outcome"),
    [(0, 300, "failed"), (150, 150, "failed"), (151, 149, "success"), (0, 0, "success")],
)
def test_assignments_that_failed_by_an_error(
    owner: Connection, ledger: Ledger, deps: RunDeps, sent: int, failed: int, outcome: str
) -> None:
    """When half or more of what was due failed by errors, so has the run: with the count and the first reason."""
    reason = "UniqueViolation 23505: notifications" if failed else None
    progress = DispatchResult(Counts(300, sent, failed, without_recipient=300), first_error=reason)
    broken = replace(deps, shards=Fanout(lambda work, deadline: progress, lambda: [Shard()]))
    with pytest.raises(AssignmentsFailed) if outcome == "failed" else nullcontext():
        lifecycle.run(MANUAL, broken)
    (run,) = runs(owner)
    expected_message = f"{failed} of 300 that were due failed: {reason}" if outcome == "failed" else None
    assert (outcome, expected_message, failed, 300) == tuple(
        run[name] for name in ("status", "error_message", "assignments_failed", "assignments_without_recipient")
    )


def test_day_that_has_not_begun(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """Refused before the lock, without a row."""
    ahead = datetime.now(UTC) + timedelta(days=2)
    for request in (RunRequest("schedule", "e", ahead), RunRequest("manual", as_of=ahead.date())):
        with pytest.raises(EventError, match="is in the future"):
            lifecycle.run(request, deps)
    assert (0, []) == (count(owner, "cron_execution_logs"), scheduler.calls)


def test_dry_run(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """No row, no run id, and the scheduler receives it."""
    summary = lifecycle.run(RunRequest("manual", as_of=TICK.date(), dry_run=True), deps)
    assert (None, "dry_run", 20) == (summary.run_id, summary.note, summary.counts.evaluated)
    assert {(None, True)} == {(work.run_id, work.dry_run) for work in scheduler.calls}
    assert 0 == count(owner, "cron_execution_logs")


def test_dry_run_that_fails(owner: Connection, deps: RunDeps, scheduler: FakeScheduler) -> None:
    """Raised, and not written: it is no run."""
    scheduler.fails_with(SchedulerError("it broke"))
    with pytest.raises(SchedulerError):
        lifecycle.run(RunRequest("manual", dry_run=True), deps)
    assert 0 == count(owner, "cron_execution_logs")


def test_log_lines_of_a_run(deps: RunDeps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line from the start of the run on bears its id."""
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(
        logger, "info", lambda text, **_: said.append((text, str(logger.get_current_keys().get("run_id"))))
    )
    summary = lifecycle.run(MANUAL, deps)
    assert [("run started", str(summary.run_id)), ("run settled", str(summary.run_id))] == said
