"""The operator's queries: in operator.sql and, for the runs, the functions' own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import psycopg

from ops.migrations import MIGRATIONS
from reminders.database import Connection, Queries
from reminders.runs import JOB_NAME, history
from reminders.runs.history import Run
from reminders.runs.lock import LOCK_KEY

queries = Queries("ops.cli", "operator.sql")


@dataclass(frozen=True, slots=True)
class Overview:
    """The ledger and the outbox at a glance. Times are aware."""

    now: datetime  #: the database's clock
    last_success_started_at: datetime | None
    last_success_at: datetime | None  #: when the last successful run ended
    last_success_set_aside: int | None  #: assignments that it could not process
    last_success_note: str | None  #: what is unusual about it
    last_status: str | None  #: of the newest run that succeeded or failed, as the next two
    last_started_at: datetime | None
    last_error: str | None
    consecutive_failures: int  #: runs that failed since the last success
    last_tick: datetime | None  #: the newest scheduled time of a run that the schedule started
    undelivered: int  #: alerts that a channel has not delivered yet; an alert counts once a channel
    undelivered_since: datetime | None  #: when the oldest of them was written
    undelivered_error: str | None  #: an error of one of them


@dataclass(frozen=True, slots=True)
class Running:
    """A row with the status `running`."""

    id: UUID
    started_at: datetime
    scheduled_for: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the run lock; through a pooler `client` is the pooler's address."""

    pid: int
    since: datetime | None
    client: str | None
    application_name: str | None
    role: str | None

    def __str__(self) -> str:
        return (
            f"pid {self.pid}, role {self.role or 'unknown'}, client {self.client or 'unknown'}, {self.application_name}"
        )


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the ledger: its runs by status, and what they did."""

    day: date  #: UTC date of the runs' scheduled times
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    dispatched: int = 0  #: notifications inserted by all its runs
    evaluated: int = 0  #: assignments evaluated by the run that evaluated most
    duration_ms: int | None = None  #: of the longest run; None if no run has ended


def overview(connection: Connection) -> Overview:
    return queries.one(connection, "overview", Overview, job_name=JOB_NAME)


def running(connection: Connection) -> list[Running]:
    return queries.all(connection, "running", Running, job_name=JOB_NAME)


def failed_since(connection: Connection, since: datetime) -> int:
    """Rows of runs that started since `since` (aware) and failed, or whose process may have died."""
    return int(queries.value(connection, "failed_since", job_name=JOB_NAME, since=since))


def runs(connection: Connection, limit: int, status: str | None) -> list[Run]:
    """The newest runs first."""
    return history.queries.all(connection, "page", Run, before=None, status=status, limit=limit)


def days(connection: Connection, since: date) -> list[Day]:
    """The days that have runs, oldest first."""
    return queries.all(connection, "days", Day, job_name=JOB_NAME, since=since)


def fill_missing_days(found: list[Day], today: date, days: int) -> list[Day]:
    """One `Day` for each of the last `days` days, oldest first; those without a run have zeros."""
    by_day = {day.day: day for day in found}
    dates = [today - timedelta(back) for back in reversed(range(days))]
    return [by_day.get(day, Day(day)) for day in dates]


def status_of(day: Day) -> str:
    """The day's final status: a success outweighs earlier failures."""
    if day.succeeded:
        return "success"
    if day.failed:
        return "failed"
    return "skipped" if day.skipped or day.running else "none"


def holder(connection: Connection) -> Holder | None:
    """Who holds the run lock. Where the operator may not see details, they are read with the rights of cron_runner."""
    found = queries.first(connection, "lock_holder", Holder, key=LOCK_KEY)
    if found is None or found.since is not None:
        return found
    with connection.transaction(force_rollback=True):
        become_runner(connection)
        return queries.first(connection, "lock_holder", Holder, key=LOCK_KEY) or found


def become_runner(connection: Connection) -> None:
    """
    Take the rights of cron_runner, to see and end its sessions; the caller rolls the transaction back.

    Supabase's postgres is in pg_monitor, elsewhere it may not be. The role's creator can grant this; other logins go on
    without it.
    """
    try:
        with connection.transaction():
            connection.execute("GRANT cron_runner TO CURRENT_USER")
    except psycopg.Error:
        return


def pending_migrations(connection: Connection) -> list[str]:
    """The files in migrations/ that were not applied to the database, in order."""
    there = queries.value(connection, "has_migrations_table")
    applied = queries.value(connection, "applied_migrations") if there else []
    files = sorted(file.name for file in MIGRATIONS.glob("*.sql"))
    return [name for name in files if name.partition("_")[0] not in applied]
