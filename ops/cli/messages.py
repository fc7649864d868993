"""What the operator asks the database about messages; the queries are in operator.sql."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.cli.ledger import queries
from reminders.database import Connection


@dataclass(frozen=True, slots=True)
class MessageOverview:
    """Messages at a glance. `unreachable`: people who did not get a reminder."""

    in_use: bool = False
    unsent: int = 0
    late: int = 0
    unreachable: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """Messages of one channel and status."""

    channel: str
    status: str
    messages: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A message with an error. `id` finds its row."""

    id: int
    channel: str
    status: str
    attempts: int
    send_after: datetime
    last_error: str


def overview(connection: Connection) -> MessageOverview:
    """Zeros if the database has no messages table yet."""
    if not queries.value(connection, "has_messages_table"):
        return MessageOverview()
    return queries.one(connection, "message_overview", MessageOverview)


def counts(connection: Connection, days: int) -> list[Count]:
    return queries.all(connection, "message_counts", Count, days=days)


def failures(connection: Connection, days: int, limit: int) -> list[Failure]:
    """The newest first."""
    return queries.all(connection, "message_failures", Failure, days=days, limit=limit)


def retry(connection: Connection, days: int) -> int:
    """Send again the messages that failed or expired; return how many."""
    return int(queries.value(connection, "retry_messages", days=days))
