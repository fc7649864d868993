"""
Requests to the ReminderSchedulerService and its results.

A run is divided twice: into shards, which are called in parallel, and each shard into calls, because a call has a time
budget. The result of a call says where it stopped (`next_cursor`), and the next call goes on there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from threading import Lock
from uuid import UUID

from reminders.errors import SchedulerError
from reminders.scheduling.ids import UUIDS, AssignmentId, IdType, ids_like

# The header with the token of a call whose `Authorization` has AWS's signature.
TOKEN_HEADER = "x-reminder-token"
# A dry run lists whom it would notify; a million of them do not fit in a response of Lambda (6 MB at most).
PLAN_LIMIT = 1_000
# The maximum of the ledger's integer columns.
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """
    Part `index` (from 0) of the range of all possible ids, divided into `of` equal parts.

    Serial numbers are close together, so one shard has nearly all of them. Each id is in exactly one shard.
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
        """Whether the id is in it. An id of another type belongs to the same part of the range of its type."""
        ids = ids_like(an_id)
        part = replace(self, ids=ids)
        return ids.position(part.first) <= ids.position(an_id) <= ids.position(part.last)


def next_id(an_id: AssignmentId) -> AssignmentId | None:
    """The id after `an_id`, or None after the very last one."""
    ids = ids_like(an_id)
    position = ids.position(an_id) + 1
    return ids.at(position) if position < ids.size else None


@dataclass(frozen=True, slots=True)
class DispatchRequest:
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
        """Whether it is in the shard, and after the first id of this call."""
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
class Counts:
    """What a batch, a call, a shard or a run did. Counts add up: batch + batch = call."""

    evaluated: int = 0  #: assignments looked at
    dispatched: int = 0  #: notifications inserted, reminders and escalations
    failed: int = 0  #: assignments that failed by an error: refused by the database, or still locked after a retry
    without_recipient: int = 0  #: escalations due, but the assignment has no coordinator

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, int, int, int]:
        """The four numbers, in the order of the fields."""
        return self.evaluated, self.dispatched, self.failed, self.without_recipient


NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class DispatchResult:
    """What one call did."""

    counts: Counts = NOTHING
    next_cursor: AssignmentId | None = None  #: the id to continue at; None: the shard is done
    would_notify: tuple[Planned, ...] = ()  #: of a dry run only, at most `PLAN_LIMIT`
    first_error: str | None = field(default=None, compare=False)  #: of the first failed assignment, safe to show
    #: Assignments whose status reminder_statuses does not list; counted only where there was nothing to evaluate.
    of_unknown_status: int = field(default=0, compare=False)


@dataclass(slots=True)
class RunTotals:
    """
    The sum over all shards so far, kept while they run, so that a failing run still knows its counts.

    Shards add from their own threads.
    """

    counts: Counts = NOTHING
    first_error: str | None = None
    would_notify: list[Planned] = field(default_factory=list)
    of_unknown_status: int = 0
    _adding: Lock = field(default_factory=Lock, repr=False)

    def add(self, result: DispatchResult) -> None:
        """Add one call's result; raise `SchedulerError` when the ledger could not hold the sum."""
        with self._adding:
            total = self.counts + result.counts
            if max(total.values()) > LARGEST_COUNT:
                # Each result can be valid and the sum too large for the ledger's column.
                raise SchedulerError("the scheduler's counts are larger than the ledger can hold")
            self.counts = total
            self.first_error = self.first_error or result.first_error
            self.would_notify.extend(result.would_notify[: PLAN_LIMIT - len(self.would_notify)])
            # Each shard that found nothing counts all of them.
            self.of_unknown_status = max(self.of_unknown_status, result.of_unknown_status)

    @property
    def note(self) -> str | None:
        """What the ledger notes about a run that did nothing although there are assignments."""
        if self.counts.evaluated or not self.of_unknown_status:
            return None
        return f"no assignment is open; with a status that reminder_statuses does not list: {self.of_unknown_status:,}"
