"""The list of assignments as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from reminders.console.formats import Formats
from reminders.console.pages import printable_line
from reminders.console.pages.messages import message_lines
from reminders.console.reading import Waiting

# With the longest names, so many rows stay below the 6 MB that Lambda answers with at most.
PART_ROWS = 4_000
# One page lists the parts; so many rows are 100 of them.
MOST_ROWS = 400_000
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
# Only where messages are sent.
MESSAGES = ("mentor_messages_utc", "coordinator_messages_utc")
# Where a spreadsheet would see a formula (OWASP, "CSV Injection"): at the start of a text, and after a character that
# may be its list separator. In Norway this is the semicolon, so Excel splits `Bob;=1+1` into two cells there.
_FORMULA = re.compile(r"""(^|[;,\t])(?=[\s"]*[=+\-@])""")


def as_csv(rows: Iterable[Waiting], organisations: Mapping[UUID, str], *, messages: bool = False) -> str:
    """RFC 4180, with a byte order mark, so that spreadsheets read UTF-8. `messages`: add their columns."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*HEADER, *(MESSAGES if messages else ())))
    for row in rows:
        more = (_messages(row.mentor_messages), _messages(row.coordinator_messages)) if messages else ()
        writer.writerow([_cell(value) for value in (*_values(row, organisations), *more)])
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


def _messages(messages: Sequence[Mapping[str, Any]] | None) -> str:
    return "; ".join(f"{line.text} {line.at.iso[:16].replace('T', ' ')}" for line in message_lines(messages, Formats()))


def _cell(value: object) -> str:
    """Put an apostrophe where a formula would begin, and before a negative id."""
    text = str(value or "") if not isinstance(value, str) else printable_line(value)
    return _FORMULA.sub(r"\1'", text)
