"""What the watchdog asks of the messages: whether they wait for too long, and which are past their retention."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reminders.database import Connection, Queries

queries = Queries(__package__, "backlog.sql")


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that should have been sent more than an hour ago. `since`: when the oldest of them was due (aware)."""

    waiting: int
    since: datetime | None
    is_reported: bool  #: an alert was written, and no recovery since


def read(connection: Connection) -> Backlog:
    """How many messages are late now, since when, and whether an alert was written."""
    return queries.one(connection, "backlog", Backlog)


def prune(connection: Connection, days: int, at_most: int) -> int:
    """Delete `at_most` messages that are older than `days`; return how many there were."""
    return int(queries.value(connection, "prune", days=days, at_most=at_most))
