"""The run history as an admin sees it: pages of the ledger, newest first, read with the admin's own rights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from reminders import database
from reminders.database import Connection, Queries

if TYPE_CHECKING:
    # For types only: the operator's command reads the same rows, and needs neither HTTP nor JWT for it.
    from reminders.identity import Caller

queries = Queries(__package__, "history.sql")

LIMITS = {
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
    "transaction_read_only": "on",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One row of the ledger. Times are aware, durations in milliseconds."""

    id: UUID
    trigger_source: str
    scheduled_for: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    assignments_evaluated: int
    reminders_dispatched: int
    assignments_failed: int
    assignments_without_recipient: int
    status: str
    http_status: int | None
    error_message: str | None
    note: str | None
    consecutive_failure_count: int


@dataclass(frozen=True, slots=True)
class Page:
    """`next_before` is the `before` of the next, older page; None on the last."""

    runs: list[Run]
    next_before: UUID | None


def page(connection: Connection, caller: Caller, *, limit: int, before: UUID | None, status: str | None) -> Page:
    """At most `limit` runs older than the run `before`, with `status` if given. Only an admin sees any."""
    with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
        # One more than requested, to know whether there is a next page.
        found = queries.all(connection, "page", Run, before=before, status=status, limit=limit + 1)
    runs = found[:limit]
    return Page(runs, runs[-1].id if len(found) > limit else None)


def run(connection: Connection, run_id: UUID) -> Run | None:
    """One run; None if there is none that the transaction's caller may see."""
    return queries.first(connection, "run", Run, run_id=run_id)
