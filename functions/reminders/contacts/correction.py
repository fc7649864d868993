"""
An admin corrects the date of the last contact.

    find ─▶ does it have this date already? ──yes──▶ return the correction that set it
      │no
    date allowed? If-Match fulfilled? ─▶ insert the correction, whose trigger changes the date

All of this is one transaction with the admin's rights: role `authenticated`, with the claims that row level security
reads. Both are local to the transaction, so that a pooler does not pass them on to its next client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from reminders import database
from reminders.database import Connection, Queries
from reminders.errors import AssignmentNotFound, DatabaseError, DateRefused, ReminderError
from reminders.identity import Caller
from reminders.telemetry import logger

queries = Queries(__package__, "correction.sql")

LIMITS = {
    "statement_timeout": "5000",
    # A dispatch batch, or another admin, holds an assignment for well under a second.
    "lock_timeout": "3000",
    "idle_in_transaction_session_timeout": "10000",
}
# Raised by the trigger apply_correction.
_VERSION_CONFLICT = "PT412"
# invalid_text_representation, numeric_value_out_of_range: it cannot be the id of an assignment here.
_NO_SUCH_ID = {"22P02", "22003"}
ANY_VERSION = "*"


class VersionConflict(ReminderError):
    """The date is not the one that the admin expected; `version` is the current one, if it is known."""

    def __init__(self, message: str, version: str | None = None) -> None:
        super().__init__(message)
        self.version = version


@dataclass(frozen=True, slots=True)
class Request:
    """
    `expected` are the versions (see `version`) that may be replaced; `ANY_VERSION` is any.
    """

    assignment_id: UUID | int
    new_date: date
    reason: str
    expected: frozenset[str]


@dataclass(frozen=True, slots=True)
class Correction:
    """
    One correction, as its audit row has it.

    `old_date` is text, because PostgreSQL has dates that Python lacks: `infinity`, `0044-03-15 BC`, `12026-11-01`.
    `corrected_by`, `corrected_at` and `reason` are None if the date had this value already, without a correction.
    """

    assignment_id: UUID | int
    old_date: str | None
    new_date: date
    reason: str | None
    corrected_by: UUID | None
    corrected_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Assignment:
    last_contact_date: str | None
    began: str | None
    today: date
    is_before_it_began: bool


def version(day: date | str | None) -> str:
    """The version of a date for optimistic concurrency (`ETag`, `If-Match`): the date itself."""
    return str(day) if day else "never"


def correct(connection: Connection, caller: Caller, request: Request) -> Correction:
    """
    Correct the date, or return the correction that has set it already.

    Raise `AssignmentNotFound`, `DateRefused`, or `VersionConflict` when another admin has changed the date.
    """
    with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
        found = _find(connection, caller, request)
        if found.last_contact_date == request.new_date.isoformat():
            return _existing_correction(connection, request)
        _check(found, request)
        made = _insert(connection, found.last_contact_date, request)
    logger.info(
        "contact date corrected", extra={"assignment_id": str(made.assignment_id), "by": str(made.corrected_by)}
    )
    return made


def _find(connection: Connection, caller: Caller, request: Request) -> _Assignment:
    values = {
        # As text, so that an id of the other type is not found, instead of causing an error.
        "assignment_id": str(request.assignment_id),
        "new_date": request.new_date,
        "org_ids": None if caller.org_ids is None else list(caller.org_ids),
    }
    try:
        found = queries.first(connection, "assignment", _Assignment, **values)
    except DatabaseError as error:
        if error.sqlstate not in _NO_SUCH_ID:
            raise
        found = None
    if found is None:
        raise AssignmentNotFound("there is no such assignment")
    return found


def _existing_correction(connection: Connection, request: Request) -> Correction:
    """A repeated correction changes nothing and has the same result as the first one."""
    values = {"assignment_id": request.assignment_id, "new_date": request.new_date}
    latest = queries.first(connection, "latest", Correction, **values)
    day = request.new_date
    return latest or Correction(request.assignment_id, day.isoformat(), day, None, None, None)


def _check(found: _Assignment, request: Request) -> None:
    if request.new_date > found.today:
        raise DateRefused(f"last_contact_date is in the future; today is {found.today} (UTC)")
    if found.is_before_it_began:
        raise DateRefused(f"last_contact_date is before the assignment began, on {found.began} (UTC)")
    current = version(found.last_contact_date)
    if request.expected.isdisjoint({ANY_VERSION, current}):
        raise VersionConflict("the contact date has changed", current)


def _insert(connection: Connection, old_date: str | None, request: Request) -> Correction:
    try:
        return queries.one(
            connection,
            "correct",
            Correction,
            assignment_id=request.assignment_id,
            old_date=old_date,
            new_date=request.new_date,
            reason=request.reason,
        )
    except DatabaseError as error:
        if error.sqlstate == _VERSION_CONFLICT:
            raise VersionConflict("the contact date was changed by another transaction at the same time") from None
        raise
