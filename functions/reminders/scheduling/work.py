"""
Requests to the ReminderSchedulerService and its results.

A run is divided twice: into shards, which are called in parallel, and each shard into calls, because a call has a time
budget. The result of a call says where it stopped (`next_cursor`), and the next call goes on there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from threading import Lock
from uuid import UUID

from reminders.errors import SchedulerError
from reminders.scheduling.ids import AssignmentId, IdType, ids_like, previous_id

# The header with the token of a call whose `Authorization` has AWS's signature.
TOKEN_HEADER = "x-reminder-token"
# A dry run lists whom it would notify; a million of them do not fit in a response of Lambda (6 MB at most).
PLAN_LIMIT = 1_000
# The maximum of the ledger's integer columns.
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """
    Part `index` (from 0) of a run that is divided into `of` parts: the ids from `first` to `last`.

    An end that is None is open: the lowest or the highest id of its type. Where both ends of one of several parts are
    None, it is an equal part of all possible ids.
    """

    index: int = 0
    of: int = 1
    first: AssignmentId | None = None
    last: AssignmentId | None = None

    def ends(self, ids: IdType) -> tuple[AssignmentId, AssignmentId]:
        """The first and the last id, where the ids are of the type `ids`."""
        if self.first is None and self.last is None:
            return ids.part(self.index, self.of)
        return (
            ids.lowest if self.first is None else self.first,
            ids.highest if self.last is None else self.last,
        )

    def includes(self, an_id: AssignmentId) -> bool:
        """Whether the id is in it. An id of another type than its ends is not."""
        ids = ids_like(an_id)
        first, last = self.ends(ids)
        return ids_like(first) is ids is ids_like(last) and first <= an_id <= last  # type: ignore[operator]


def shards_from(bounds: Iterable[AssignmentId]) -> list[Shard]:
    """
    Shards that begin at `bounds`, and one before them.

    Whatever the bounds are, each id is in exactly one shard: the first has no lower end, the last no upper one, and
    each begins where the one before it ends.
    """
    starts: list[AssignmentId | None] = [None, *sorted(b for b in set(bounds) if b != ids_like(b).lowest)]
    ends = [*(previous_id(start) for start in starts if start is not None), None]
    return [
        Shard(index, len(starts), first, last) for index, (first, last) in enumerate(zip(starts, ends, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """
    One call to the service.

    `as_of`: the UTC date that gaps are counted to. `cursor`: the first id to look at, None for the shard's
    first. `run_id`: None in a dry run only.
    """

    run_id: UUID | None
    as_of: date
    shard: Shard = Shard()
    cursor: AssignmentId | None = None
    dry_run: bool = False

    def range(self, ids: IdType) -> tuple[AssignmentId, AssignmentId]:
        """The first and the last id to look at, where the ids are of the type `ids`."""
        first, last = self.shard.ends(ids)
        return first if self.cursor is None else self.cursor, last

    def can_go_on_at(self, cursor: AssignmentId) -> bool:
        """Whether it is in the shard, and after the first id of this call."""
        first, last = self.range(ids_like(cursor))
        return cursor != first and replace(self.shard, first=first, last=last).includes(cursor)


@dataclass(frozen=True, slots=True)
class Planned:
    """A notification that a real run would insert."""

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
    The sum over all shards so far, kept while they run, so that a run that fails still has its counts.

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
