"""
The story of one run; its rules are in docs/architecture.md.

    lock? ──no──▶ skipped (advisory_lock_held)
      │yes
    rescue what was abandoned ─▶ tick done already? ──yes──▶ skipped (duplicate_tick)
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
from reminders.runs.events import RunRequest
from reminders.runs.ledger import Ledger, OpenRun, Outcome, SettledRun, Tick
from reminders.runs.lock import RunLock
from reminders.scheduling.fanout import Fanout
from reminders.scheduling.work import PLAN_LIMIT, Planned, Totals
from reminders.telemetry import logger

# What a run keeps back of its invocation: 5 s to alert, 3 s to settle and unlock.
RESERVE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class RunDeps:
    """What a run works with. `seconds_left` is the invocation's remaining time, `clock` is monotonic seconds."""

    lock: RunLock
    ledger: Ledger
    shards: Fanout
    seconds_left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic

    def deadline(self) -> float:
        """When the work must end, on the monotonic clock."""
        return self.clock() + self.seconds_left() - RESERVE_SECONDS


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the cron function returns."""

    run_id: UUID | None
    status: str
    note: str | None
    assignments_evaluated: int
    reminders_dispatched: int
    assignments_failed: int
    assignments_without_recipient: int
    duration_ms: int | None
    would_notify: list[Planned] | None = None

    def as_json(self) -> dict[str, Any]:
        """
        Only JSON's own types.

        `would_notify`, and whether it was cut, stand in a dry run's answer alone, `assignments_without_recipient` where
        it is not 0.
        """
        answer = {key: value for key, value in asdict(self).items() if key != "would_notify"}
        if not self.assignments_without_recipient:
            del answer["assignments_without_recipient"]
        answer["run_id"] = self.run_id and str(self.run_id)
        if self.would_notify is not None:
            answer["would_notify"] = [_plain(planned) for planned in self.would_notify]
            answer["would_notify_is_cut"] = self.reminders_dispatched > PLAN_LIMIT
        return answer


def run(request: RunRequest, deps: RunDeps) -> RunSummary:
    """
    Do one run and return its summary.

    Raise `EventError` for a moment in the future or long ago (see `Tick.check_limits`), before any row is written,
    and the error that made the run fail, after it was written to the ledger.
    """
    tick = deps.ledger.tick(request)
    tick.check_limits(dry_run=request.dry_run)
    if request.dry_run:
        return _dry_run(tick, deps)
    with deps.lock.lease(deps.seconds_left()) as locked:
        if not locked:
            return _skipped(deps.ledger.skip(request, tick, "advisory_lock_held"), "advisory_lock_held")
        try:
            return _with_lock(request, tick, deps)
        finally:
            deps.ledger.deliver_alerts()


def _with_lock(request: RunRequest, tick: Tick, deps: RunDeps) -> RunSummary:
    deps.ledger.rescue_abandoned()
    try:
        opened = deps.ledger.open(request, tick)
    except TickDone:
        return _skipped(deps.ledger.skip(request, tick, "duplicate_tick"), "duplicate_tick")
    return _work(opened, tick, deps)


def _work(opened: OpenRun, tick: Tick, deps: RunDeps) -> RunSummary:
    logger.append_keys(run_id=str(opened.id))
    logger.info("run started", extra={"as_of": tick.as_of.isoformat()})
    totals = Totals()
    try:
        deps.shards.evaluate(opened.id, tick.as_of, totals, deps.deadline(), dry_run=False)
        _check_failed(totals)
    except BaseException as error:
        _settle_failed(opened, error, totals, deps)
        raise
    settled = deps.ledger.settle(opened.id, Outcome("success", totals))
    _tell(settled, totals)
    return _summary(opened.id, settled.status, totals.note, totals, settled.duration_ms)


def _check_failed(totals: Totals) -> None:
    """Raise `AssignmentsFailed` when half or more of what was due failed: a run that did nothing is no success."""
    failed, due = totals.assignments_failed, totals.assignments_failed + totals.reminders_dispatched
    if failed and failed * 2 >= due:
        reason = totals.first_error or "the reason is in the scheduler's log"
        raise AssignmentsFailed(f"{failed:,} of {due:,} that were due failed: {reason}")


def _settle_failed(opened: OpenRun, error: BaseException, totals: Totals, deps: RunDeps) -> None:
    """An error in here is logged; the run's own error is the one that is raised (docs/architecture.md#original-error)."""
    logger.error("run failed", extra={"reason": safe_message(error)})
    try:
        _tell(deps.ledger.settle(opened.id, Outcome.of_error(error, totals)), totals)
    except Exception as second:
        logger.error("failed run not settled", extra={"reason": safe_message(second)})


def _tell(settled: SettledRun, totals: Totals) -> None:
    logger.info(
        "run settled",
        extra={
            "status": settled.status,
            "consecutive_failure_count": settled.consecutive_failure_count,
            "assignments_evaluated": totals.assignments_evaluated,
            "reminders_dispatched": totals.reminders_dispatched,
            "assignments_failed": totals.assignments_failed,
            "assignments_without_recipient": totals.assignments_without_recipient,
        },
    )
    telemetry.count(
        RunsSucceeded=int(settled.status == "success"),
        RunsFailed=int(settled.status == "failed"),
        AssignmentsEvaluated=totals.assignments_evaluated,
        RemindersDispatched=totals.reminders_dispatched,
        AssignmentsFailed=totals.assignments_failed,
        AssignmentsWithoutRecipient=totals.assignments_without_recipient,
    )
    telemetry.duration("RunDuration", settled.duration_ms or 0)


def _skipped(row: OpenRun, note: str) -> RunSummary:
    logger.append_keys(run_id=str(row.id))
    logger.info("run skipped", extra={"note": note})
    telemetry.count(RunsSkipped=1)
    return _summary(row.id, "skipped", note, Totals(), None)


def _dry_run(tick: Tick, deps: RunDeps) -> RunSummary:
    """Who would be notified: no lock, no row, nothing written."""
    began, totals = deps.clock(), Totals()
    deps.shards.evaluate(None, tick.as_of, totals, deps.deadline(), dry_run=True)
    took = int((deps.clock() - began) * 1000)
    return _summary(None, "success", "dry_run", totals, took, totals.would_notify)


def _summary(
    run_id: UUID | None,
    status: str,
    note: str | None,
    totals: Totals,
    duration_ms: int | None,
    would_notify: list[Planned] | None = None,
) -> RunSummary:
    return RunSummary(
        run_id,
        status,
        note,
        totals.assignments_evaluated,
        totals.reminders_dispatched,
        totals.assignments_failed,
        totals.assignments_without_recipient,
        duration_ms,
        would_notify,
    )


def _plain(planned: Planned) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(planned).items()}
