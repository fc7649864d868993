"""
The rows of the ledger as Python sees them, and how a run ends.

    Tick ──▶ OpenRun (running) ──▶ Outcome ──▶ SettledRun (success | failed)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from reminders.errors import EventError, SchedulerError, safe_message
from reminders.scheduling.work import NOTHING, Counts, RunTotals

# A scheduled event may reach a database whose clock is a little behind EventBridge's.
CLOCK_SLACK = timedelta(minutes=5)
# Each run looks for everything that is overdue, so a run for an older time would do nothing that a new one does not.
OLDEST_TICK = timedelta(days=7)
MAX_DAYS_AHEAD = timedelta(days=366)
# The Lambda console's template "Scheduled Event" has a time of 1970, and people often try it first.
RUN_NOW_HINT = 'for a run now, send {} or {"action": "run"}'
DRY_RUN_LIMITS = f"a dry run may look at any past day, and {MAX_DAYS_AHEAD.days} days ahead"


class RunStatus(StrEnum):
    """The status of a run."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Tick:
    """The scheduled time of a run, and the database's time when it was requested; both aware, UTC."""

    scheduled_for: datetime
    now: datetime

    @property
    def as_of(self) -> date:
        """The UTC date that gaps are counted to."""
        return self.scheduled_for.astimezone(UTC).date()

    def check_limits(self, *, dry_run: bool) -> None:
        """Raise `EventError` for a time that a run may not have; its message says what to send instead."""
        ahead = self.scheduled_for - self.now
        if dry_run and ahead > MAX_DAYS_AHEAD:
            raise EventError(f"{self.as_of} is more than {MAX_DAYS_AHEAD.days} days ahead; {DRY_RUN_LIMITS}")
        if dry_run:
            return
        if ahead > CLOCK_SLACK:
            raise EventError(f"{self._text} is in the future; {RUN_NOW_HINT}; {DRY_RUN_LIMITS}")
        if -ahead > OLDEST_TICK:
            raise EventError(f"{self._text} is more than {OLDEST_TICK.days} days ago; {RUN_NOW_HINT}; {DRY_RUN_LIMITS}")

    @property
    def _text(self) -> str:
        return f"{self.scheduled_for:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A row just written."""

    id: UUID
    started_at: datetime


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A row still 'running'; `age` is by the database's clock."""

    id: UUID
    started_at: datetime
    scheduled_for: datetime
    age: timedelta


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends."""

    status: RunStatus
    counts: Counts = NOTHING
    note: str | None = None
    error_message: str | None = None  #: of a failure, safe to show
    http_status: int | None = None  #: the scheduler's, when it was not 2xx
    abandoned: bool = False  #: the process is gone, so the row has no duration

    @classmethod
    def success(cls, totals: RunTotals) -> Self:
        """A run that did its work."""
        return cls(RunStatus.SUCCESS, totals.counts, totals.note)

    @classmethod
    def of_error(cls, error: BaseException, totals: RunTotals) -> Self:
        """The failure that `error` is, with the counts so far."""
        http_status = error.http_status if isinstance(error, SchedulerError) else None
        return cls(RunStatus.FAILED, totals.counts, totals.note, safe_message(error), http_status)

    @classmethod
    def of_abandoned(cls, run: RunningRun) -> Self:
        """A run whose process has ended."""
        began = f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        message = f"abandoned: the process of the run started {began} is gone"
        return cls(RunStatus.FAILED, error_message=message, abandoned=True)


@dataclass(frozen=True, slots=True)
class SettledRun:
    """A row after it was settled, with what was before it (as in `RunResult`)."""

    run_id: UUID
    status: str
    scheduled_for: datetime
    started_at: datetime
    completed_at: datetime
    consecutive_failure_count: int
    failures_before: int = 0
    last_success_started_at: datetime | None = None
    last_success_at: datetime | None = None

    @property
    def duration_ms(self) -> int:
        """From started to completed, in whole milliseconds."""
        return max(0, int((self.completed_at - self.started_at).total_seconds() * 1000))
