"""
The ReminderSchedulerService, next to the database.

    batch by batch:  fence ─▶ evaluate, lock, insert ─▶ commit
                        └─ the run is no longer 'running': stop

A batch that fails is split in halves until the failing row is alone. That row is skipped and counted, and
the others go through (docs/architecture.md#halving).
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
from reminders.limits import LIMITS, Limits
from reminders.scheduling.ids import BIGINTS, UUIDS, AssignmentId, assignment_id, next_id
from reminders.scheduling.work import NOTHING, PLAN_LIMIT, Counts, DispatchRequest, DispatchResult, Planned
from reminders.telemetry import logger

queries = Queries(__package__, "scheduling.sql")

IDS_IN_A_LOG_LINE = 50
LOCKED = "locked by another transaction; the next run evaluates them again"
INFINITE = "its date of contact or of assignment is infinite; an admin must correct the contact date"

UNIQUE_VIOLATION = "23505"
# Worth a retry without a change: serialization failure, deadlock, lock timeout.
TRANSIENT = {"40001", "40P01", "55P03"}
# Caused by a row or by the size of the batch, so the batch is halved: bad data, integrity, RAISE, the transient ones,
# statement timeout.
_HALVE_ON = ("22", "23", "P0001", "40", "55P03", "57014")


@dataclass(frozen=True, slots=True)
class _Project:
    """How this project differs from a new one (migrations, existing_projects)."""

    ids_are_uuids: bool
    notifications: str
    has_unique_index: bool


@dataclass(frozen=True, slots=True)
class _Batch:
    """
    One batch's outcome, with the columns of `dispatch_batch` and `plan_batch`.

    `confirmed` are dispatches of this run by an earlier call whose response was lost; `without_recipient` are
    assignments whose coordinator is missing; `failed` have an infinite date, or were skipped for the reason `error`.
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

    counts: Counts = NOTHING
    first_error: str | None = None
    busy: list[list[AssignmentId]] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)

    def add(self, batch: _Batch) -> None:
        self.counts += Counts(
            batch.evaluated, batch.inserted + batch.confirmed, len(batch.failed), len(batch.without_recipient)
        )
        self.first_error = self.first_error or (batch.error if batch.failed else None)
        if batch.busy:
            self.busy.append(batch.busy)
        self.planned.extend(_planned(row) for row in batch.planned[: PLAN_LIMIT - len(self.planned)])

    def result(self, next_cursor: AssignmentId | None, of_unknown_status: int) -> DispatchResult:
        return DispatchResult(self.counts, next_cursor, tuple(self.planned), self.first_error, of_unknown_status)


class ReminderSchedulerService:
    """
    Evaluates open assignments and dispatches what is due, at most `batch_size` assignments a transaction.

    `connection` is autocommit, as a role with the rights of `reminder_scheduler`. `clock` gives seconds.
    """

    def __init__(
        self, connection: Connection, batch_size: int, clock: Callable[[], float], limits: Limits = LIMITS
    ) -> None:
        self._connection = connection
        self._batch_size = batch_size
        self._clock = clock
        self._limits = limits
        self._queries = queries

    def work(self, request: DispatchRequest, budget: float) -> DispatchResult:
        """
        Do what `request` asks for, from its cursor until the shard is done or `budget` seconds are over.

        At least one batch, or part of a batch that has to be split, is completed: a call that returned the cursor
        that it was given would be repeated without end. After the budget, that takes at most one statement of
        `Limits.statement_grace` for each halving.

        Raise `AsOfRefused` when the date is not the run's or too far ahead for a dry run, `RunSettledElsewhere`
        when the run's row does not say 'running', `DatabaseError` when the
        database refuses for a reason that halving the batch does not solve.
        """
        deadline = self._clock() + budget
        project = queries.one(self._connection, "project", _Project)
        if not project.has_unique_index:
            raise DatabaseError(f"{project.notifications} has no unique index on (assignment_id, kind, contact_anchor)")
        self._queries = queries.renamed("public.notifications", f"public.{project.notifications}")
        first, last = request.range(UUIDS if project.ids_are_uuids else BIGINTS)
        request = replace(request, shard=replace(request.shard, first=first, last=last))
        tally = _Tally()
        if request.dry_run:
            self._check_dry_run_date(request)
        next_cursor = self._process_batches(request, deadline, tally)
        self._retry_locked_rows(request, deadline, tally)
        return tally.result(next_cursor, 0 if tally.counts.evaluated else self._of_unknown_status(request))

    def _check_dry_run_date(self, request: DispatchRequest) -> None:
        if not queries.value(self._connection, "is_near", as_of=request.as_of):
            raise AsOfRefused("as_of of a dry run is at most 366 days ahead of today (UTC)")

    def _of_unknown_status(self, request: DispatchRequest) -> int:
        """Called when no assignment is open: that may be true, or the project has another word for the status."""
        return int(queries.value(self._connection, "of_unknown_status") or 0) if request.cursor is None else 0

    def _process_batches(self, request: DispatchRequest, deadline: float, tally: _Tally) -> AssignmentId | None:
        """Process one batch after the other; return the id to continue at, or None at the end of the shard."""
        first = request.shard.first
        halves: list[int] = []
        progressed = False
        while first is not None and not (progressed and self._clock() >= deadline):
            size = halves.pop() if halves else self._batch_size
            batch = self._batch_or_none(request, first, size, deadline)
            if batch is None:
                halves += [size - size // 2, size // 2]
                continue
            progressed = True
            tally.add(batch)
            full = batch.evaluated == size and batch.last_id is not None
            first = next_id(batch.last_id) if full and batch.last_id is not None else None
        return first

    def _batch_or_none(
        self, request: DispatchRequest, first: AssignmentId, size: int, deadline: float
    ) -> _Batch | None:
        """One batch; None when it failed and has to be halved; a failed batch of one row is skipped."""
        try:
            return self._batch(request, first, request.shard.last, size, deadline)
        except DatabaseError as error:
            if not _can_be_halved(error):
                raise
            return None if size > 1 else self._skip_failing_row(first, request.shard.last, error)

    def _batch(
        self, request: DispatchRequest, first: AssignmentId, last: AssignmentId | None, size: int, deadline: float
    ) -> _Batch:
        values = {
            "first": first,
            "last": last,
            "size": size,
            "as_of": request.as_of,
            "run_id": request.run_id,
            "plan_limit": PLAN_LIMIT,
        }
        settings = self._settings(deadline, size)
        if request.dry_run:
            with database.transaction(self._connection, {**settings, "transaction_read_only": "on"}):
                return self._queries.one(self._connection, "plan_batch", _Batch, **values)
        for attempt in stamina.retry_context(on=_is_transient, attempts=3, wait_initial=0.05, wait_max=0.5):
            with attempt:
                batch = self._dispatch_once(settings, values)
        _log_ids("no recipient for a due notification, is the coordinator missing?", batch.without_recipient)
        _log_ids(INFINITE, batch.failed)
        return batch

    def _dispatch_once(self, settings: dict[str, str], values: dict[str, Any]) -> _Batch:
        """Dispatch. If another call has inserted one of the rows meanwhile, once more: now that row is visible."""
        try:
            return self._dispatch(settings, values)
        except DatabaseError as error:
            if error.sqlstate != UNIQUE_VIOLATION:
                raise
            return self._dispatch(settings, values)

    def _dispatch(self, settings: dict[str, str], values: dict[str, Any]) -> _Batch:
        with database.transaction(self._connection, settings):
            as_of = queries.value(self._connection, "hold_run", run_id=values["run_id"])
            if as_of is None:
                raise RunSettledElsewhere("the run is not running; nothing more is dispatched for it")
            if as_of != values["as_of"]:
                raise AsOfRefused(f"as_of must be {as_of}, the date of the run")
            return self._queries.one(self._connection, "dispatch_batch", _Batch, **values)

    def _settings(self, deadline: float, size: int) -> dict[str, str]:
        """PostgreSQL's parameters for one batch of `size` assignments."""
        limits = self._limits
        left = max(0.0, deadline - self._clock()) + limits.statement_grace
        share = max(limits.statement_grace, limits.batch.statement * size / self._batch_size)
        settings = replace(limits.batch, statement=min(left, share)).settings()
        return {**settings, "client_connection_check_interval": "1000"}

    def _skip_failing_row(self, first: AssignmentId, last: AssignmentId | None, error: DatabaseError) -> _Batch:
        """A batch of one has failed: find out which assignment it is, log its id, and count it."""
        failing_id: AssignmentId | None = queries.value(self._connection, "first_open", first=first, last=last)
        if failing_id is None:
            return _Batch()
        logger.error(
            "assignment skipped: the database refuses it",
            extra={"assignment_id": str(failing_id), "reason": str(error)},
        )
        return _Batch(evaluated=1, last_id=failing_id, failed=[failing_id], error=str(error))

    def _retry_locked_rows(self, request: DispatchRequest, deadline: float, tally: _Tally) -> None:
        """
        Retry the assignments that another transaction had locked; those still locked count as failed.

        They are not lost: the next run evaluates them again.
        """
        for ids in tally.busy:
            still_locked = ids
            if self._clock() < deadline:
                with suppress(DatabaseError):
                    again = self._batch(request, ids[0], ids[-1], self._batch_size, deadline)
                    tally.counts += Counts(dispatched=again.inserted)
                    still_locked = again.busy
            if still_locked:
                tally.add(_Batch(failed=still_locked, error=LOCKED))
            _log_ids(LOCKED, still_locked)


def _can_be_halved(error: DatabaseError) -> bool:
    return not isinstance(error, DatabaseUnavailable) and (error.sqlstate or "").startswith(_HALVE_ON)


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
    listed = [str(i) for i in ids]
    if listed:
        logger.warning(message, extra={"assignment_ids": listed[:IDS_IN_A_LOG_LINE], "assignments": len(listed)})
