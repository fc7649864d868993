"""
The words between the run and the ReminderSchedulerService.

A run's work is cut twice: into shards, which are called in parallel, and each shard into calls, because a
call has a time budget. A call says where it stopped (`next_cursor`), and the next one goes on there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from uuid import UUID

from reminders.errors import SchedulerError

UUID_SPACE = 1 << 128
# Where a call's token stands when its `Authorization` holds AWS's signature.
TOKEN_HEADER = "x-reminder-token"
# A dry run names whom it would notify; a million names fit in no Lambda answer (6 MB at most).
PLAN_LIMIT = 1_000
# More than the ledger's integer can hold is a lie.
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` (from 0) of the assignment ids, cut evenly into `of` parts."""

    index: int
    of: int

    @property
    def first(self) -> UUID:
        """The lowest id of the shard."""
        return UUID(int=UUID_SPACE * self.index // self.of)

    @property
    def last(self) -> UUID:
        """The highest id of the shard, itself included."""
        return UUID(int=UUID_SPACE * (self.index + 1) // self.of - 1)


def following(assignment_id: UUID) -> UUID | None:
    """The id after `assignment_id`, or None after the very last one."""
    return UUID(int=assignment_id.int + 1) if assignment_id.int + 1 < UUID_SPACE else None


@dataclass(frozen=True, slots=True)
class Work:
    """
    One call to the service.

    `as_of`: the UTC date that gaps are counted to. `cursor`: the first id to look at, None for the shard's
    first. `run_id`: None in a dry run only.
    """

    run_id: UUID | None
    as_of: date
    shard: Shard
    cursor: UUID | None = None
    dry_run: bool = False

    @property
    def first(self) -> UUID:
        """The id to begin at."""
        return self.cursor or self.shard.first


@dataclass(frozen=True, slots=True)
class Planned:
    """A notification that a dry run would have sent."""

    assignment_id: UUID
    org_id: UUID
    recipient_id: UUID
    kind: str
    gap_days: int


@dataclass(frozen=True, slots=True)
class Progress:
    """
    What one call did. `next_cursor` is None when the shard is done.

    `reminders_dispatched` counts reminders and escalations, each assignment giving at most one of each.
    `assignments_failed` counts those that failed by an error, `first_error` is the first one's safe text;
    `assignments_without_recipient` counts escalations that are due for an assignment without a coordinator.
    `would_notify` is filled by a dry run alone, with at most `PLAN_LIMIT` rows.
    """

    assignments_evaluated: int = 0
    reminders_dispatched: int = 0
    assignments_failed: int = 0
    next_cursor: UUID | None = None
    would_notify: tuple[Planned, ...] = ()
    assignments_without_recipient: int = 0
    first_error: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class Totals:
    """
    The sum over all shards so far, kept while they run, so that a failing run still knows its counts.

    Shards add from their own threads.
    """

    assignments_evaluated: int = 0
    reminders_dispatched: int = 0
    assignments_failed: int = 0
    assignments_without_recipient: int = 0
    first_error: str | None = None
    would_notify: list[Planned] = field(default_factory=list)
    _adding: Lock = field(default_factory=Lock, repr=False)

    def add(self, progress: Progress) -> None:
        """Count one call's progress in; raise `SchedulerError` when no ledger could hold the sum."""
        with self._adding:
            self._refuse_lies(progress)
            self.assignments_evaluated += progress.assignments_evaluated
            self.reminders_dispatched += progress.reminders_dispatched
            self.assignments_failed += progress.assignments_failed
            self.assignments_without_recipient += progress.assignments_without_recipient
            self.first_error = self.first_error or progress.first_error
            room = PLAN_LIMIT - len(self.would_notify)
            self.would_notify.extend(progress.would_notify[:room])

    def _refuse_lies(self, progress: Progress) -> None:
        """Each answer may be possible and their sum not: a row with it could not be written."""
        sums = (
            self.assignments_evaluated + progress.assignments_evaluated,
            self.reminders_dispatched + progress.reminders_dispatched,
            self.assignments_failed + progress.assignments_failed,
            self.assignments_without_recipient + progress.assignments_without_recipient,
        )
        if max(sums) > LARGEST_COUNT:
            raise SchedulerError("scheduler counts more than a ledger can hold")
