"""
The words between the run and the ReminderSchedulerService.

A run's work is cut twice: into shards, which are called in parallel, and each shard into calls, because a
call has a time budget. A call says where it stopped (`next_cursor`), and the next one goes on there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from threading import Lock
from uuid import UUID

from reminders.errors import SchedulerError
from reminders.scheduling.ids import UUIDS, AssignmentId, IdType, ids_like

# Where a call's token stands when its `Authorization` holds AWS's signature.
TOKEN_HEADER = "x-reminder-token"
# A dry run names whom it would notify; a million names fit in no Lambda answer (6 MB at most).
PLAN_LIMIT = 1_000
# More than the ledger's integer can hold is a lie.
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """
    Part `index` (from 0) of all ids that there can be, cut evenly into `of` parts.

    Serial numbers lie close together, so that one shard has nearly all of them; each is in exactly one.
    """

    index: int
    of: int
    ids: IdType = UUIDS

    @property
    def first(self) -> AssignmentId:
        """The lowest id of the shard."""
        return self.ids.at(self.ids.size * self.index // self.of)

    @property
    def last(self) -> AssignmentId:
        """The highest id of the shard, itself included."""
        return self.ids.at(self.ids.size * (self.index + 1) // self.of - 1)

    def includes(self, an_id: AssignmentId) -> bool:
        """Whether the id lies in it; ids of another type are looked for in the same part of theirs."""
        ids = ids_like(an_id)
        part = replace(self, ids=ids)
        return ids.position(part.first) <= ids.position(an_id) <= ids.position(part.last)


def following(an_id: AssignmentId) -> AssignmentId | None:
    """The id after `an_id`, or None after the very last one."""
    ids = ids_like(an_id)
    position = ids.position(an_id) + 1
    return ids.at(position) if position < ids.size else None


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
    cursor: AssignmentId | None = None
    dry_run: bool = False

    @property
    def first(self) -> AssignmentId:
        """The id to begin at."""
        return self.shard.first if self.cursor is None else self.cursor

    def can_go_on_at(self, cursor: AssignmentId) -> bool:
        """Whether it lies in the shard, and past where this call begins."""
        ids = ids_like(cursor)
        began = replace(self.shard, ids=ids).first if self.cursor is None else self.cursor
        of_one_type = ids_like(began) is ids
        return of_one_type and ids.position(began) < ids.position(cursor) and self.shard.includes(cursor)


@dataclass(frozen=True, slots=True)
class Planned:
    """A notification that a dry run would have sent."""

    assignment_id: AssignmentId
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
    `would_notify` is filled by a dry run alone, with at most `PLAN_LIMIT` rows. `of_unknown_status` is counted only
    where there was nothing to evaluate: assignments whose status is neither open nor closed in reminder_statuses.
    """

    assignments_evaluated: int = 0
    reminders_dispatched: int = 0
    assignments_failed: int = 0
    next_cursor: AssignmentId | None = None
    would_notify: tuple[Planned, ...] = ()
    assignments_without_recipient: int = 0
    first_error: str | None = field(default=None, compare=False)
    of_unknown_status: int = field(default=0, compare=False)  #: a remark and no result: results are equal without it


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
    of_unknown_status: int = 0
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
            # Each shard that found nothing counts all of them.
            self.of_unknown_status = max(self.of_unknown_status, progress.of_unknown_status)

    @property
    def note(self) -> str | None:
        """What is to be said of a run that did nothing although there are assignments."""
        if self.assignments_evaluated or not self.of_unknown_status:
            return None
        return f"no assignment is open; with a status that reminder_statuses does not list: {self.of_unknown_status:,}"

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
