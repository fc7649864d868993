"""
The ledger: one row of `cron_execution_logs` for each invocation.

    running ──▶ success | failed          skipped: born settled

Its connection is autocommit and not the lock's: a row must be visible while the run goes, and must stay
when the lock's transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from uuid import UUID

from reminders import database
from reminders.database import Connection, Queries
from reminders.errors import DatabaseError, DatabaseUnavailable, RunSettledElsewhere, SchedulerError, safe_message
from reminders.runs import JOB_NAME
from reminders.runs.events import RunRequest
from reminders.scheduling.work import Totals
from reminders.telemetry import logger

queries = Queries(__package__, "ledger.sql")

# Settling waits for a batch in flight to let go of the run's row, and a batch may be frozen for 10 s.
SETTLE_LIMITS = {"lock_timeout": "15000", "statement_timeout": "20000", "idle_in_transaction_session_timeout": "20000"}


# A tick at midnight may reach a database whose clock has not struck yet.
CLOCK_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment a run stands for (aware, UTC), and whether its day has begun by the database's clock."""

    scheduled_for: datetime
    has_begun: bool

    @property
    def as_of(self) -> date:
        """The UTC date that gaps are counted to."""
        return self.scheduled_for.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A row just written."""

    id: UUID
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends. `error_message` and `http_status` belong to a failure."""

    status: Literal["success", "failed"]
    totals: Totals
    error_message: str | None = None
    http_status: int | None = None
    abandoned: bool = False

    @classmethod
    def of_error(cls, error: BaseException, totals: Totals) -> Outcome:
        """The failure that `error` is, with the counts so far."""
        http_status = error.http_status if isinstance(error, SchedulerError) else None
        return cls("failed", totals, safe_message(error), http_status)


@dataclass(frozen=True, slots=True)
class SettledRun:
    """A row after it was settled."""

    run_id: UUID
    status: str
    consecutive_failure_count: int
    started_at: datetime
    completed_at: datetime | None

    @property
    def duration_ms(self) -> int | None:
        """From started to completed, in whole milliseconds."""
        if self.completed_at is None:
            return None
        return max(0, int((self.completed_at - self.started_at).total_seconds() * 1000))


@dataclass(frozen=True, slots=True)
class _AbandonedRun:
    id: UUID
    started_at: datetime
    scheduled_for: datetime


@dataclass(frozen=True, slots=True)
class _Clock:
    now: datetime


class Ledger:
    """
    Writes and settles rows, as a role with the rights of `cron_runner`.

    `reconnect` opens a fresh connection when this one was lost: a run may last for minutes, and a pooler
    that restarts meanwhile must not leave it unsettled.
    """

    def __init__(self, connection: Connection, reconnect: Callable[[], Connection]) -> None:
        self._connection = connection
        self._reconnect = reconnect

    def tick(self, request: RunRequest) -> Tick:
        """The moment that `request` stands for, by the database's clock where the request names none."""
        now = queries.one(self._connection, "clock", _Clock).now.astimezone(UTC)
        if request.as_of is not None:
            midnight = datetime.combine(request.as_of, time.min, UTC)
            return Tick(midnight, has_begun=midnight <= now)
        tick = request.scheduled_for or now
        return Tick(tick, has_begun=tick.date() <= (now + CLOCK_SLACK).date())

    def open(self, request: RunRequest, tick: Tick) -> OpenRun:
        """Write the row 'running'."""
        return queries.one(self._connection, "open_run", OpenRun, **_identity(request, tick))

    def skip(self, request: RunRequest, tick: Tick, note: str) -> OpenRun:
        """Write a row 'skipped', complete at once; `note` says why."""
        return queries.one(self._connection, "skip_run", OpenRun, **_identity(request, tick), note=note)

    def has_succeeded(self, request: RunRequest, tick: Tick) -> bool:
        """Whether this scheduled tick is done already. A manual run never is a duplicate (design, rule 6)."""
        if request.trigger == "manual":
            return False
        return bool(
            queries.value(self._connection, "tick_succeeded", scheduled_for=tick.scheduled_for, job_name=JOB_NAME)
        )

    def rescue_abandoned(self) -> int:
        """
        Settle every row still 'running' as failed; return how many. Only for the holder of the lock.

        One that cannot be settled now, because a frozen batch still holds it, is left to the next run or
        the watchdog: the fence keeps it harmless, and today's reminders must not wait for it.
        """
        rescued = 0
        for run in queries.all(self._connection, "abandoned_runs", _AbandonedRun, job_name=JOB_NAME):
            message = f"abandoned: the process of the run started {run.started_at:%Y-%m-%d %H:%M:%S} UTC is gone"
            try:
                self.settle(run.id, Outcome("failed", Totals(), message, abandoned=True))
            except (DatabaseError, RunSettledElsewhere) as error:
                logger.error("abandoned run not rescued", extra={"abandoned": str(run.id), "reason": str(error)})
                continue
            logger.warning("abandoned run rescued", extra={"abandoned": str(run.id)})
            rescued += 1
        return rescued

    def settle(self, run_id: UUID, outcome: Outcome) -> SettledRun:
        """
        Move the row out of 'running', once.

        Raise `RunSettledElsewhere` when somebody else did it before. A connection that was lost is made
        anew once.
        """
        try:
            settled = self._settle(run_id, outcome)
        except DatabaseUnavailable:
            self._connection = self._reconnect()
            settled = self._settle(run_id, outcome) or self._already(run_id, outcome)
        if settled is None:
            raise RunSettledElsewhere("this run was settled by another process; its result stands")
        return settled

    def _settle(self, run_id: UUID, outcome: Outcome) -> SettledRun | None:
        with database.transaction(self._connection, SETTLE_LIMITS):
            return queries.first(
                self._connection,
                "settle_run",
                SettledRun,
                run_id=run_id,
                status=outcome.status,
                assignments_evaluated=outcome.totals.assignments_evaluated,
                reminders_dispatched=outcome.totals.reminders_dispatched,
                assignments_failed=outcome.totals.assignments_failed,
                http_status=outcome.http_status,
                error_message=outcome.error_message,
                abandoned=outcome.abandoned,
            )

    def _already(self, run_id: UUID, outcome: Outcome) -> SettledRun | None:
        """The row, if our first try settled it and only the answer was lost."""
        found = queries.one(self._connection, "run_status", SettledRun, run_id=run_id)
        return found if found.status == outcome.status else None


def _identity(request: RunRequest, tick: Tick) -> dict[str, object]:
    return {
        "job_name": JOB_NAME,
        "trigger_source": request.trigger,
        "event_id": request.event_id,
        "scheduled_for": tick.scheduled_for,
    }
