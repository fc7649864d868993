"""The list as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from reminders.console.pages import shown
from reminders.console.reading import Waiting

# With the longest names, so many rows stay below the 6 MB that Lambda answers with at most.
PART_ROWS = 5_000
# One page lists the parts; so many rows are 100 of them.
MOST_ROWS = 500_000
HEADER = (
    "assignment_id",
    "organisation",
    "days_without_contact",
    "last_contact_date",
    "mentor",
    "mentor_id",
    "coordinator",
    "coordinator_id",
    "reminder_after_days",
    "alert_after_days",
    "mentor_notified_at_utc",
    "coordinator_notified_at_utc",
)
# What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[Waiting], organisations: Mapping[UUID, str]) -> str:
    """RFC 4180, with the mark by which spreadsheets know UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    writer.writerows([_cell(value) for value in _values(row, organisations)] for row in rows)
    return "\ufeff" + text.getvalue()


def _values(row: Waiting, organisations: Mapping[UUID, str]) -> tuple[object, ...]:
    return (
        row.id,
        organisations.get(row.org_id, row.org_id),
        row.gap_days,
        row.last_contact_date,
        row.mentor_name,
        row.mentor_id,
        row.coordinator_name,
        row.coordinator_id,
        row.reminder_days,
        row.escalation_days,
        _time(row.mentor_notified_at),
        _time(row.coordinator_notified_at),
    )


def _time(value: datetime | None) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else ""


def _cell(value: object) -> str:
    """Text that is no formula: an apostrophe before what would begin one. Numbers are ours, and not negative."""
    text = str(value or "") if not isinstance(value, str) else shown(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
