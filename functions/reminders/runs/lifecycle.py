"""
The steps of one run; its rules are in docs/architecture.md.

    lock? ──no──▶ skipped (advisory_lock_held)
      │yes
    settle abandoned rows ─▶ scheduled time done already? ──yes──▶ skipped (duplicate_tick)
      │no
    running ─▶ all shards ─▶ settled, alert written ─▶ alerts sent ─▶ summary, or the error raised
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from reminders import telemetry
from reminders.errors import AssignmentsFailed, TickDone, safe_message
from reminders.limits import LIMITS, Limits
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger
from reminders.runs.lock import RunLock
from reminders.runs.records import OpenRun, Outcome, RunStatus, SettledRun, Tick
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.work import NOTHING, PLAN_LIMIT, Counts, Planned, RunTotals
from reminders.telemetry import logger


@dataclass(frozen=True, slots=True)
class RunDeps:
    """What a run works with. `seconds_left` is the invocation's remaining time, `clock` is monotonic seconds."""

    lock: RunLock
    ledger: Ledger
    shards: Fanout
    seconds_left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    limits: Limits = LIMITS

    def deadline(self) -> float:
        """When the work must end, on the monotonic clock."""
        return self.clock() + self.seconds_left() - self.limits.reserve


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the cron function returns."""

    run_id: UUID | None
    status: RunStatus
    note: str | None = None
    counts: Counts = NOTHING
    duration_ms: int | None = None
    would_notify: list[Planned] | None = None  #: of a dry run only

    def as_json(self) -> dict[str, Any]:
        """
        Only JSON's own types.

        Only a dry run has `would_notify` and `would_notify_is_cut`. `assignments_without_recipient` is left out if it
        is 0.
        """
        result = {
            "run_id": self.run_id and str(self.run_id),
            "status": self.status.value,
            "note": self.note,
            **_named(self.counts),
            "duration_ms": self.duration_ms,
        }
        if not self.counts.without_recipient:
            del result["assignments_without_recipient"]
        if self.would_notify is not None:
            result["would_notify"] = [_plain(planned) for planned in self.would_notify]
            result["would_notify_is_cut"] = self.counts.dispatched > PLAN_LIMIT
        return result


def run(request: RunRequest, deps: RunDeps) -> RunSummary:
    """
    Do one run and return its summary.

    Raise `EventError` for a time in the future or long ago (see `Tick.check_limits`), before any row is written,
    and the error that made the run fail, after it was written to the ledger.
    """
    ledger = deps.ledger
    # 1. The scheduled time of the run, by the database's clock.
    tick = ledger.tick(request)
    tick.check_limits(dry_run=request.dry_run)
    if request.dry_run:
        return _dry_run(tick, deps)
    # 2. One run at a time.
    with deps.lock.lease(deps.seconds_left()) as locked:
        if not locked:
            return _skip(request, tick, "advisory_lock_held", ledger)
        try:
            # 3. Only this process has the lock. So the process of every older 'running' row has ended.
            ledger.rescue_abandoned()
            # 4. The row exists before the work does. A scheduled time that succeeded gets no second run.
            try:
                opened = ledger.open(request, tick)
            except TickDone:
                return _skip(request, tick, "duplicate_tick", ledger)
            # 5. The work, and its result in the row, with the alert that it asks for.
            return _dispatch_and_settle(opened, tick, deps)
        finally:
            # 6. While the lock is held, send the alerts of this run and older alerts that are not delivered yet.
            ledger.deliver_alerts()


def _dispatch_and_settle(opened: OpenRun, tick: Tick, deps: RunDeps) -> RunSummary:
    logger.append_keys(run_id=str(opened.id))
    logger.info("run started", extra={"as_of": tick.as_of.isoformat()})
    totals = RunTotals()
    try:
        deps.shards.evaluate(opened.id, tick.as_of, totals, deps.deadline(), dry_run=False)
        _check_failed(totals)
    except BaseException as error:
        _settle_failed(opened, error, totals, deps)
        raise
    settled = deps.ledger.settle(opened.id, Outcome.success(totals))
    _record_telemetry(settled, totals.counts)
    return RunSummary(opened.id, RunStatus(settled.status), totals.note, totals.counts, settled.duration_ms)


def _check_failed(totals: RunTotals) -> None:
    """Raise `AssignmentsFailed` when half or more of what was due failed. Such a run must not count as a success."""
    failed, due = totals.counts.failed, totals.counts.failed + totals.counts.dispatched
    if failed and failed * 2 >= due:
        reason = totals.first_error or "the reason is in the scheduler's log"
        raise AssignmentsFailed(f"{failed:,} of {due:,} that were due failed: {reason}")


def _settle_failed(opened: OpenRun, error: BaseException, totals: RunTotals, deps: RunDeps) -> None:
    """An error in here is only logged: the run's own error is raised (docs/architecture.md#original-error)."""
    logger.error("run failed", extra={"reason": safe_message(error)})
    try:
        _record_telemetry(deps.ledger.settle(opened.id, Outcome.of_error(error, totals)), totals.counts)
    except Exception as second:
        logger.error("failed run not settled", extra={"reason": safe_message(second)})


def _record_telemetry(settled: SettledRun, counts: Counts) -> None:
    logger.info(
        "run settled",
        extra={
            "status": settled.status,
            "consecutive_failure_count": settled.consecutive_failure_count,
            **_named(counts),
        },
    )
    telemetry.count(
        RunsSucceeded=int(settled.status == RunStatus.SUCCESS),
        RunsFailed=int(settled.status == RunStatus.FAILED),
        AssignmentsEvaluated=counts.evaluated,
        RemindersDispatched=counts.dispatched,
        AssignmentsFailed=counts.failed,
        AssignmentsWithoutRecipient=counts.without_recipient,
    )
    telemetry.duration("RunDuration", settled.duration_ms or 0)


def _skip(request: RunRequest, tick: Tick, note: str, ledger: Ledger) -> RunSummary:
    row = ledger.skip(request, tick, note)
    logger.append_keys(run_id=str(row.id))
    logger.info("run skipped", extra={"note": note})
    telemetry.count(RunsSkipped=1)
    return RunSummary(row.id, RunStatus.SKIPPED, note)


def _dry_run(tick: Tick, deps: RunDeps) -> RunSummary:
    """Who would be notified: no lock, no row, nothing written."""
    began, totals = deps.clock(), RunTotals()
    deps.shards.evaluate(None, tick.as_of, totals, deps.deadline(), dry_run=True)
    took = int((deps.clock() - began) * 1000)
    return RunSummary(None, RunStatus.SUCCESS, "dry_run", totals.counts, took, totals.would_notify)


def _named(counts: Counts) -> dict[str, Any]:
    """The counts by the names of the ledger's columns."""
    return {
        "assignments_evaluated": counts.evaluated,
        "reminders_dispatched": counts.dispatched,
        "assignments_failed": counts.failed,
        "assignments_without_recipient": counts.without_recipient,
    }


def _plain(planned: Planned) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(planned).items()}
