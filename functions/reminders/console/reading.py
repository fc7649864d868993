"""
The data of the pages, read with the caller's rights: one read-only transaction per page, as `authenticated` with the
caller's claims.

Rows have the values of the database; `pages` turns them into text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from reminders import database
from reminders.database import Connection, Queries
from reminders.errors import DatabaseError, ReminderError
from reminders.identity import Caller
from reminders.runs import history
from reminders.runs.history import LIMITS, Run
from reminders.runs.lock import LOCK_KEY
from reminders.scheduling.ids import AssignmentId

queries = Queries(__package__, "console.sql")

# invalid_text_representation, numeric_value_out_of_range: the ids of this project have another type.
_NO_SUCH_ID = {"22P02", "22003"}

PAGE_ROWS = 50
TIMELINE_ROWS = 200
CHANGE_ROWS = 20


class NoSuchId(ReminderError):
    """The text cannot be the id of an assignment of this project."""


def assignment_id(text: str) -> AssignmentId:
    """A uuid, or a number if the project's assignments have numbers; raise `ValueError` for anything else."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 19 else UUID(text)


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the job, and the counts of the caller's organisations. None: there was no such run."""

    now: datetime
    succeeded_at: datetime | None
    success_started_at: datetime | None
    dispatched: int | None  #: of the last success, all organisations
    failed: int | None  #: of the last success: assignments that the database refused
    without_recipient: int | None  #: of the last success: escalations without a coordinator
    last_run_id: UUID | None  #: of the last run that has ended
    last_failed: bool | None
    failures: int | None  #: failed runs in a row
    last_scheduled_for: datetime | None
    last_ended_at: datetime | None
    running_since: datetime | None
    lock_pid: int | None  #: the session that holds the run lock
    open_assignments: int
    past_reminder: int
    past_escalation: int
    without_coordinator: int
    longest_days: int
    unreached: int | None  #: people; None where no messages are sent


@dataclass(frozen=True, slots=True)
class RunDay:
    """The settled runs whose scheduled time is on this day (UTC)."""

    day: date
    succeeded: bool
    failed: bool
    dispatched: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation of the caller. Messages are sent from `send_from` (08:00) to `send_until` of its time zone."""

    org_id: UUID
    name: str | None
    time_zone: str
    locale: str
    reminder_days: int
    escalation_days: int
    send_from: str
    send_until: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    An open assignment past a threshold. `since`: the last contact, or the day on which the assignment began.

    Messages have the form of `reminder_admin.notifications`: channel, status, at, error.
    """

    id: AssignmentId
    org_id: UUID
    mentor_id: UUID
    mentor_name: str | None
    coordinator_id: UUID | None
    coordinator_name: str | None
    last_contact_date: date | None
    since: date
    gap_days: int
    reminder_days: int
    escalation_days: int
    mentor_notified_at: datetime | None
    mentor_read_at: datetime | None
    mentor_messages: list[dict[str, Any]] | None
    coordinator_notified_at: datetime | None
    coordinator_messages: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Unreached:
    """A person who was not reached, and the assignment of theirs that waits longest."""

    id: UUID
    name: str | None
    role: str  #: mentor or coordinator
    reason: str  #: failed, too_old, refused, turned_off, unused or no_address
    assignments: int  #: how many assignments the person was not notified about
    assignment_id: AssignmentId
    org_id: UUID
    since: date
    today: date


@dataclass(frozen=True, slots=True)
class WaitingCounts:
    """The counts of the whole list, not only of the page that is shown."""

    open_assignments: int
    past_reminder: int
    past_escalation: int
    without_coordinator: int
    messages_in_use: bool


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a list: directly after this row. As text: `2026-11-01_<id>`."""

    since: date
    id: AssignmentId

    def __str__(self) -> str:
        return f"{self.since.isoformat()}_{self.id}"

    @classmethod
    def read(cls, text: str) -> Position | None:
        since, _, id_ = text.partition("_")
        try:
            return cls(date.fromisoformat(since), assignment_id(id_))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class WaitingFilter:
    """Which rows of the list: of one organisation or of all, and past which threshold."""

    org_id: UUID | None
    threshold: str  #: reminder, escalation or no_coordinator


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment. `version` identifies the present contact date, so that no admin overwrites another's change."""

    id: AssignmentId
    org_id: UUID
    is_open: bool
    mentor_id: UUID
    mentor_name: str | None
    coordinator_id: UUID | None
    coordinator_name: str | None
    began: date
    today: date
    last_contact_date: date | None
    version: str
    gap_days: int | None
    reminder_days: int
    escalation_days: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an assignment; `detail` holds the values of its `kind`."""

    at: datetime
    kind: str
    person: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert about a run, by channel; without a channel it was recorded but not sent."""

    kind: str
    created_at: datetime
    channel: str | None
    attempts: int | None
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunCounts:
    every: int
    success: int
    failed: int
    skipped: int
    running: int


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that an admin changed."""

    at: datetime
    what: str
    org_id: UUID | None
    person: str
    old_value: dict[str, Any]
    new_value: dict[str, Any]


class Reader:
    """Reads with the rights of one caller, inside one transaction (`reading`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def overview(self) -> Overview:
        return queries.one(self._connection, "overview", Overview, key=LOCK_KEY)

    def days(self, days: int) -> list[RunDay]:
        return queries.all(self._connection, "days", RunDay, days=days)

    def organisations(self) -> list[Organisation]:
        return queries.all(self._connection, "organisations", Organisation)

    def waiting(self, which: WaitingFilter, after: Position | None) -> tuple[WaitingCounts, list[Waiting], bool]:
        """The counts, one page of rows, and whether there is a next page."""
        rows = queries.all(self._connection, "waiting", dict, **_filter(which, after), at_most=PAGE_ROWS + 1)
        counts = WaitingCounts(**{name: rows[0].pop(name) for name in WaitingCounts.__slots__})
        for row in rows[1:]:
            for name in WaitingCounts.__slots__:
                del row[name]
        found = [Waiting(**row) for row in rows if row["id"] is not None]
        return counts, found[:PAGE_ROWS], len(found) > PAGE_ROWS

    def export_ends(self, which: WaitingFilter, size: int, at_most: int) -> list[Position]:
        """The position at which each full part of `size` rows ends."""
        return queries.all(
            self._connection,
            "export_ends",
            Position,
            org_id=which.org_id,
            threshold=which.threshold,
            size=size,
            at_most=at_most,
        )

    def export(
        self, which: WaitingFilter, after: Position | None, until: Position | None, at_most: int
    ) -> list[Waiting]:
        """One part of the list."""
        return queries.all(
            self._connection,
            "export",
            Waiting,
            **_filter(which, after),
            until_since=until and until.since,
            until_id=until and str(until.id),
            at_most=at_most,
        )

    def messages_in_use(self) -> bool:
        return bool(queries.value(self._connection, "messages_in_use"))

    def unreached(self, after: Position | None) -> tuple[int | None, list[Unreached], bool]:
        """How many people, one page of them, and whether there is a next page; None where no messages are sent."""
        bounds = {"after_since": after and after.since, "after_id": after and str(after.id)}
        rows = queries.all(self._connection, "unreached", dict, **bounds, at_most=PAGE_ROWS + 1)
        total = rows[0]["total"]
        for row in rows:
            del row["total"]
        found = [Unreached(**row) for row in rows if row["id"] is not None]
        return total, found[:PAGE_ROWS], len(found) > PAGE_ROWS

    def assignment(self, an_id: AssignmentId) -> Assignment | None:
        # As text: PostgreSQL converts it to the type of the project's ids.
        return queries.first(self._connection, "assignment", Assignment, assignment_id=str(an_id))

    def timeline(self, an_id: AssignmentId) -> list[Event]:
        return queries.all(self._connection, "timeline", Event, assignment_id=str(an_id), at_most=TIMELINE_ROWS + 1)

    def run(self, run_id: UUID) -> Run | None:
        return history.run(self._connection, run_id)

    def alerts(self, run_id: UUID) -> list[Alert]:
        return queries.all(self._connection, "alerts", Alert, run_id=run_id)

    def run_counts(self) -> RunCounts:
        return queries.one(self._connection, "run_counts", RunCounts)

    def changes(self, org_id: UUID | None) -> list[Change]:
        """The newest changes, of one organisation or of all."""
        return queries.all(self._connection, "changes", Change, org_id=org_id, at_most=CHANGE_ROWS)


def _filter(which: WaitingFilter, after: Position | None) -> dict[str, object]:
    return {
        "org_id": which.org_id,
        "threshold": which.threshold,
        "after_since": after and after.since,
        "after_id": after and str(after.id),
    }


@contextmanager
def open_reader(connection: Connection, caller: Caller) -> Iterator[Reader]:
    """
    A read-only transaction with the caller's rights: row level security decides which rows it sees.

    Raise `NoSuchId` for an id of another type than the project's ids.
    """
    try:
        with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
            yield Reader(connection)
    except DatabaseError as error:
        if error.sqlstate in _NO_SUCH_ID:
            raise NoSuchId("there is nothing with this id") from None
        raise
