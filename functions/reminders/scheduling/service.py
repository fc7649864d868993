"""
The ReminderSchedulerService, next to the database.

    batch by batch:  fence ─▶ evaluate, hold, insert ─▶ commit
                        └─ the run is no longer 'running': stop, for good

A batch that fails is split in halves until the row that made it fail stands alone. That row is set aside
and counted, the rest goes through (docs/architecture.md#halving).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import stamina

from reminders import database
from reminders.database import Connection, Queries
from reminders.errors import AsOfRefused, DatabaseError, DatabaseUnavailable, RunSettledElsewhere
from reminders.scheduling.ids import BIGINTS, UUIDS, AssignmentId, assignment_id
from reminders.scheduling.work import PLAN_LIMIT, Planned, Progress, Work, following
from reminders.telemetry import logger

queries = Queries(__package__, "scheduling.sql")

# A statement may outlive the call's budget by this much; the caller waits a little longer than that.
STATEMENT_GRACE_SECONDS = 2.0
# Long enough for any sane batch. Half a batch has half of it, and so on: the row that hangs is found within a call.
LONGEST_STATEMENT_SECONDS = 30.0
IDS_IN_A_LOG_LINE = 50
LOCKED = "locked by another transaction; the next run evaluates them again"
INFINITE = "its date of contact or of assignment is infinite; an admin must correct the contact date"

# Worth trying again as it is: serialization failure, deadlock, lock timeout.
TRANSIENT = {"40001", "40P01", "55P03"}
# The fault of a row, or of the batch's size: bad data, integrity, RAISE, the transient ones, statement timeout.
_ROWS_FAULT = ("22", "23", "P0001", "40", "55P03", "57014")


@dataclass(frozen=True, slots=True)
class _Project:
    """How this project differs from a new one (migrations, existing_projects)."""

    ids_are_uuids: bool
    notifications: str


@dataclass(frozen=True, slots=True)
class _Batch:
    """
    One batch's outcome, with the columns of `dispatch_batch` and `plan_batch`.

    `confirmed` are dispatches of this same run that an earlier, unanswered call made; `without_recipient` are
    assignments whose coordinator is missing; `failed` have an infinite date, or were set aside for the reason `error`.
    """

    evaluated: int = 0
    inserted: int = 0
    confirmed: int = 0
    last_id: AssignmentId | None = None
    without_recipient: list[AssignmentId] = field(default_factory=list)
    failed: list[AssignmentId] = field(default_factory=list)
    error: str = INFINITE
    busy: list[AssignmentId] = field(default_factory=list)
    planned: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """The sum over the batches of one call."""

    evaluated: int = 0
    dispatched: int = 0
    failed: int = 0
    without_recipient: int = 0
    first_error: str | None = None
    busy: list[list[AssignmentId]] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)

    def add(self, batch: _Batch) -> None:
        self.evaluated += batch.evaluated
        self.dispatched += batch.inserted + batch.confirmed
        self.without_recipient += len(batch.without_recipient)
        self.fail(len(batch.failed), batch.error)
        if batch.busy:
            self.busy.append(batch.busy)
        room = PLAN_LIMIT - len(self.planned)
        self.planned.extend(_planned(row) for row in batch.planned[:room])

    def fail(self, assignments: int, error: str | None) -> None:
        self.failed += assignments
        self.first_error = self.first_error or (error if assignments else None)

    def progress(self, next_cursor: AssignmentId | None) -> Progress:
        return Progress(
            assignments_evaluated=self.evaluated,
            reminders_dispatched=self.dispatched,
            assignments_failed=self.failed,
            assignments_without_recipient=self.without_recipient,
            first_error=self.first_error,
            next_cursor=next_cursor,
            would_notify=tuple(self.planned),
        )


class ReminderSchedulerService:
    """
    Evaluates open assignments and dispatches what is due, at most `batch_size` assignments a transaction.

    `connection` is autocommit, as a role with the rights of `reminder_scheduler`. `clock` gives seconds.
    """

    def __init__(self, connection: Connection, batch_size: int, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._batch_size = batch_size
        self._clock = clock
        self._queries = queries

    def work(self, work: Work, budget: float) -> Progress:
        """
        Do `work` from its cursor until the shard is done or `budget` seconds are over.

        At least one batch, or part of a batch that has to be split, is done to its end: a call that came back with
        the cursor it was given would be made again for ever. Past the budget that takes at most one statement of
        `STATEMENT_GRACE_SECONDS` for each halving.

        Raise `AsOfRefused` when the date is not the run's or too far ahead for a dry run, `RunSettledElsewhere`
        when the run's row does not say 'running', `DatabaseError` when the
        database refuses for a reason that no splitting cures.
        """
        deadline = self._clock() + budget
        project = queries.one(self._connection, "project", _Project)
        self._queries = queries.renamed("public.notifications", f"public.{project.notifications}")
        work = replace(work, shard=replace(work.shard, ids=UUIDS if project.ids_are_uuids else BIGINTS))
        tally = _Tally()
        if work.dry_run:
            self._refuse_a_distant_day(work)
        first = self._walk(work, deadline, tally)
        self._look_again(work, deadline, tally)
        progress = tally.progress(first)
        return progress if tally.evaluated else replace(progress, of_unknown_status=self._of_unknown_status(work))

    def _refuse_a_distant_day(self, work: Work) -> None:
        if not queries.value(self._connection, "is_near", as_of=work.as_of):
            raise AsOfRefused("as_of of a dry run is at most 366 days ahead of today (UTC)")

    def _of_unknown_status(self, work: Work) -> int:
        """Nothing is open: right, or does the project call it by another word?"""
        return int(queries.value(self._connection, "of_unknown_status") or 0) if work.cursor is None else 0

    def _walk(self, work: Work, deadline: float, tally: _Tally) -> AssignmentId | None:
        """Batch after batch; return the id to go on at, or None at the shard's end."""
        first: AssignmentId | None = work.first
        halves: list[int] = []
        progressed = False
        while first is not None and not (progressed and self._clock() >= deadline):
            size = halves.pop() if halves else self._batch_size
            batch = self._batch_or_none(work, first, size, deadline)
            if batch is None:
                halves += [size - size // 2, size // 2]
                continue
            progressed = True
            tally.add(batch)
            full = batch.evaluated == size and batch.last_id is not None
            first = following(batch.last_id) if full and batch.last_id is not None else None
        return first

    def _batch_or_none(self, work: Work, first: AssignmentId, size: int, deadline: float) -> _Batch | None:
        """One batch; None when it failed and has to be halved; a failed batch of one row is set aside."""
        try:
            return self._batch(work, first, work.shard.last, size, deadline)
        except DatabaseError as error:
            if not _is_rows_fault(error):
                raise
            return None if size > 1 else self._set_aside(first, work.shard.last, error)

    def _batch(self, work: Work, first: AssignmentId, last: AssignmentId, size: int, deadline: float) -> _Batch:
        values = {
            "first": first,
            "last": last,
            "size": size,
            "as_of": work.as_of,
            "run_id": work.run_id,
            "plan_limit": PLAN_LIMIT,
        }
        settings = self._limits(deadline, size)
        if work.dry_run:
            with database.transaction(self._connection, {**settings, "transaction_read_only": "on"}):
                return self._queries.one(self._connection, "plan_batch", _Batch, **values)
        for attempt in stamina.retry_context(on=_is_transient, attempts=3, wait_initial=0.05, wait_max=0.5):
            with attempt:
                batch = self._dispatch(settings, values)
        _log_ids("no recipient for a due notification, is the coordinator missing?", batch.without_recipient)
        _log_ids(INFINITE, batch.failed)
        return batch

    def _dispatch(self, settings: dict[str, str], values: dict[str, Any]) -> _Batch:
        with database.transaction(self._connection, settings):
            as_of = queries.value(self._connection, "hold_run", run_id=values["run_id"])
            if as_of is None:
                raise RunSettledElsewhere("the run is not running; nothing more is dispatched for it")
            if as_of != values["as_of"]:
                raise AsOfRefused(f"as_of must be {as_of}, the date of the run")
            return self._queries.one(self._connection, "dispatch_batch", _Batch, **values)

    def _limits(self, deadline: float, size: int) -> dict[str, str]:
        left = max(0.0, deadline - self._clock()) + STATEMENT_GRACE_SECONDS
        share = max(STATEMENT_GRACE_SECONDS, LONGEST_STATEMENT_SECONDS * size / self._batch_size)
        milliseconds = int(min(left, share) * 1000)
        return {
            "statement_timeout": str(milliseconds),
            "lock_timeout": "5000",
            # A frozen process must not keep the fence up: whoever declares the run abandoned waits for it.
            "idle_in_transaction_session_timeout": "10000",
            "client_connection_check_interval": "1000",
        }

    def _set_aside(self, first: AssignmentId, last: AssignmentId, error: DatabaseError) -> _Batch:
        """The batch of one that failed: find out which assignment it is, and say so in the log."""
        poison: AssignmentId | None = queries.value(self._connection, "first_open", first=first, last=last)
        if poison is None:
            return _Batch()
        logger.error("assignment set aside", extra={"assignment_id": str(poison), "reason": str(error)})
        return _Batch(evaluated=1, last_id=poison, failed=[poison], error=str(error))

    def _look_again(self, work: Work, deadline: float, tally: _Tally) -> None:
        """
        A second and last look at assignments that somebody had locked; those still locked count as failed.

        They are not lost: the next run evaluates them again.
        """
        for ids in tally.busy:
            still = ids
            if self._clock() < deadline:
                with suppress(DatabaseError):
                    again = self._batch(work, ids[0], ids[-1], self._batch_size, deadline)
                    tally.dispatched += again.inserted
                    still = again.busy
            tally.fail(len(still), LOCKED)
            _log_ids(LOCKED, still)


def _is_rows_fault(error: DatabaseError) -> bool:
    return not isinstance(error, DatabaseUnavailable) and (error.sqlstate or "").startswith(_ROWS_FAULT)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, DatabaseError) and error.sqlstate in TRANSIENT


def _planned(row: dict[str, Any]) -> Planned:
    return Planned(
        assignment_id=assignment_id(row["assignment_id"]),
        org_id=UUID(row["org_id"]),
        recipient_id=UUID(row["recipient_id"]),
        kind=row["kind"],
        gap_days=row["gap_days"],
    )


def _log_ids(message: str, ids: Iterable[AssignmentId]) -> None:
    told = [str(i) for i in ids]
    if told:
        logger.warning(message, extra={"assignment_ids": told[:IDS_IN_A_LOG_LINE], "assignments": len(told)})
