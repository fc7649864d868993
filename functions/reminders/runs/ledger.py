"""
The ledger: one row of `cron_execution_logs` for each invocation.

    running ──▶ success | failed          skipped: inserted in its final state

The ledger has its own connection with autocommit: a row must be visible during the run, and must stay when the lock's
transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from uuid import UUID

from reminders import database
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import RunResult
from reminders.database import Connection, Queries
from reminders.errors import DatabaseError, DatabaseUnavailable, RunSettledElsewhere, TickDone, safe_message
from reminders.limits import LIMITS, Limits
from reminders.runs import JOB_NAME
from reminders.runs.events import RunRequest
from reminders.runs.records import OpenRun, Outcome, RunningRun, RunStatus, SettledRun, Tick
from reminders.telemetry import logger

queries = Queries(__package__, "ledger.sql")


@dataclass(frozen=True, slots=True)
class _Clock:
    now: datetime


class Ledger:
    """
    Writes and settles rows, as a role with the rights of `cron_runner`.

    `reconnect` opens a fresh connection when this one was lost: a run may last for minutes, and a pooler
    that restarts in this time must not prevent the settling.
    """

    def __init__(
        self, connection: Connection, reconnect: Callable[[], Connection], outbox: Outbox, limits: Limits = LIMITS
    ) -> None:
        self._connection = connection
        self._limits = limits
        self._reconnect = reconnect
        self._outbox = outbox
        self._opened: UUID | None = None
        self._recorded = False

    @property
    def run_is_recorded(self) -> bool:
        """Whether the ledger has the result of the run that was opened here."""
        return self._recorded

    def tick(self, request: RunRequest) -> Tick:
        """The scheduled time of `request`, or the database's present time if it has none."""
        now = queries.one(self._connection, "clock", _Clock).now.astimezone(UTC)
        if request.as_of is not None:
            midnight = datetime.combine(request.as_of, time.min, UTC)
            return Tick(midnight, now)
        return Tick(request.scheduled_for or now, now)

    def open(self, request: RunRequest, tick: Tick) -> OpenRun:
        """Write the row 'running'; raise `TickDone` instead when a run of this scheduled time has succeeded."""
        opened = queries.first(self._connection, "open_run", OpenRun, **_identity(request, tick))
        if opened is None:
            raise TickDone("the run of this scheduled time has succeeded already")
        self._opened = opened.id
        return opened

    def skip(self, request: RunRequest, tick: Tick, note: str) -> OpenRun:
        """Write a row 'skipped', complete at once; `note` says why."""
        return queries.one(self._connection, "skip_run", OpenRun, **_identity(request, tick), note=note)

    def rescue_abandoned(self) -> int:
        """Settle every row still 'running' as failed; return how many. Only for the holder of the lock."""
        return self.rescue(self.running())

    def running(self) -> list[RunningRun]:
        """The rows still 'running', oldest first."""
        return queries.all(self._connection, "running_runs", RunningRun, job_name=JOB_NAME)

    def rescue(self, abandoned: Iterable[RunningRun]) -> int:
        """
        Settle `abandoned` runs as failed, which may alert; return how many this call has settled.

        One that cannot be settled now, because a paused batch still locks its row, is left to the next run or
        the watchdog: it can dispatch nothing more, and today's reminders must not wait for it.
        """
        return sum(self._rescue(run) for run in abandoned)

    def _rescue(self, run: RunningRun) -> bool:
        try:
            self.settle(run.id, Outcome.of_abandoned(run))
        except RunSettledElsewhere:
            return False
        except DatabaseError as error:
            logger.error("abandoned run not rescued", extra={"abandoned": str(run.id), "reason": safe_message(error)})
            return False
        logger.warning("abandoned run rescued", extra={"abandoned": str(run.id)})
        return True

    def settle(self, run_id: UUID, outcome: Outcome) -> SettledRun:
        """
        Move the row out of 'running', once.

        Raise `RunSettledElsewhere` when another process settled it before. A lost connection is replaced once.
        """
        try:
            settled = self._settle(run_id, outcome)
        except DatabaseUnavailable:
            self._connection = self._reconnect()
            settled = self._settle(run_id, outcome) or self._find_committed_result(run_id, outcome)
        self._recorded = self._recorded or run_id == self._opened
        if settled is None:
            raise RunSettledElsewhere("this run was settled by another process; its result is kept")
        return settled

    def _settle(self, run_id: UUID, outcome: Outcome) -> SettledRun | None:
        with database.transaction(self._connection, self._limits.settle.settings()):
            settled = queries.first(
                self._connection,
                "settle_run",
                SettledRun,
                run_id=run_id,
                job_name=JOB_NAME,
                status=outcome.status,
                assignments_evaluated=outcome.counts.evaluated,
                reminders_dispatched=outcome.counts.dispatched,
                assignments_failed=outcome.counts.failed,
                assignments_without_recipient=outcome.counts.without_recipient,
                http_status=outcome.http_status,
                error_message=outcome.error_message,
                note=outcome.note,
                abandoned=outcome.abandoned,
            )
            if settled is not None:
                self._outbox.write_for(self._connection, _result(settled, outcome))
            return settled

    def deliver_alerts(self) -> None:
        """Send what waits in the outbox; raise nothing (docs/architecture.md#original-error)."""
        try:
            self._outbox.deliver(self._connection, self._limits.delivery)
        except Exception as error:
            logger.error("alerts not delivered", extra={"reason": safe_message(error)})

    def _find_committed_result(self, run_id: UUID, outcome: Outcome) -> SettledRun | None:
        """The row, if the first attempt settled it and only the database's response was lost."""
        found = queries.first(self._connection, "run_status", SettledRun, run_id=run_id)
        return found if found and found.status == outcome.status else None


def _result(settled: SettledRun, outcome: Outcome) -> RunResult:
    return RunResult(
        run_id=settled.run_id,
        succeeded=settled.status == RunStatus.SUCCESS,
        failures=settled.consecutive_failure_count,
        failures_before=settled.failures_before,
        error_message=outcome.error_message,
        scheduled_for=settled.scheduled_for,
        completed_at=settled.completed_at,
        last_success_started_at=settled.last_success_started_at,
        last_success_at=settled.last_success_at,
    )


def _identity(request: RunRequest, tick: Tick) -> dict[str, object]:
    return {
        "job_name": JOB_NAME,
        "trigger_source": request.trigger,
        "event_id": request.event_id,
        "scheduled_for": tick.scheduled_for,
    }
