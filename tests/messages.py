"""Rows for tests of messages: people, devices, notifications, and what is known of their messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from reminders.database import Connection
from reminders.messages.message import AccountError, Message, Result, Status
from tests.factories import COORDINATOR, MENTOR, ORG, add_assignment

EMAIL = "mentor@example.org"


def add_person(owner: Connection, person: UUID = MENTOR, email: str | None = EMAIL, **settings: Any) -> UUID:
    """A user of Supabase Auth; `settings` are columns of their recipient_settings."""
    owner.execute(
        "INSERT INTO auth.users (id, email) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET email = excluded.email",
        [person, email],
    )
    if settings:
        names = ", ".join(["person_id", *settings])
        marks = ", ".join(["%s"] * (len(settings) + 1))
        owner.execute(
            f"INSERT INTO recipient_settings ({names}) VALUES ({marks})".encode(), [person, *settings.values()]
        )
    return person


def add_device(owner: Connection, person: UUID = MENTOR, platform: str = "fcm", token: str | None = None) -> int:
    row = owner.execute(
        "INSERT INTO devices (person_id, platform, token) VALUES (%s, %s, %s) RETURNING id",
        [person, platform, token or uuid4().hex],
    ).fetchone()
    assert row
    return int(row[0])


def add_notification(
    owner: Connection,
    recipient: UUID | None = None,
    *,
    kind: str = "reminder",
    gap: int = 12,
    assignment: UUID | None = None,
    age: str = "1 minute",
    org_id: UUID = ORG,
) -> int:
    """A notification of an assignment of its own, made `age` ago."""
    assignment = assignment or add_assignment(owner, gap, org_id=org_id)
    recipient = recipient or (MENTOR if kind == "reminder" else COORDINATOR)
    row = owner.execute(
        """
        INSERT INTO notifications (assignment_id, recipient_id, kind, contact_anchor, gap_days, created_at)
        SELECT a.id, %(recipient)s, %(kind)s, a.last_contact_date, %(gap)s, now() - %(age)s::interval
        FROM assignments AS a WHERE a.id = %(assignment)s
        RETURNING id
        """,
        {"recipient": recipient, "kind": kind, "gap": gap, "age": age, "assignment": assignment},
    ).fetchone()
    assert row
    return int(row[0])


def always_open(owner: Connection, org_id: UUID = ORG, **columns: Any) -> None:
    """The organisation takes messages at any hour, so that a test does not depend on the time of day."""
    values = {"org_id": org_id, "send_from": "00:00", "send_until": "24:00", **columns}
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    owner.execute(f"INSERT INTO org_settings ({names}) VALUES ({marks})".encode(), list(values.values()))


def messages(owner: Connection) -> list[dict[str, Any]]:
    """All messages, oldest first, with the number of their items."""
    cursor = owner.execute(
        """
        SELECT m.*, (SELECT count(*) FROM message_items AS i WHERE i.message_id = m.id) AS items
        FROM messages AS m ORDER BY m.id
        """
    )
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def compose(connection: Connection, *channels: str, max_age: str = "48 hours", at_most: int = 100_000) -> int:
    row = connection.execute(
        "SELECT composed FROM reminder_private.compose_messages(%s, %s::interval, %s)",
        [list(channels or ("email",)), max_age, at_most],
    ).fetchone()
    assert row
    return int(row[0])


def claim(
    connection: Connection, channel: str = "email", at_most: int = 100, rate: float = 1000, lease: float = 60
) -> list[int]:
    rows = connection.execute(
        "SELECT message_id FROM reminder_private.claim_messages(%s, %s, %s, %s)", [channel, at_most, rate, lease]
    ).fetchall()
    return [row[0] for row in rows]


def lease(owner: Connection, message: int) -> str:
    """The end of the lease that `message` is held by."""
    row = owner.execute("SELECT lease_until::text FROM messages WHERE id = %s", [message]).fetchone()
    assert row
    return str(row[0])


def load(connection: Connection, ids: list[int], lease: str, seconds: float = 0) -> list[int]:
    """Which of `ids` may be sent now by who holds `lease`."""
    query = "SELECT message_id FROM reminder_private.load_messages(%s, %s, %s)"
    return [row[0] for row in connection.execute(query, [ids, lease, seconds]).fetchall()]


def settle(connection: Connection, message: int, lease: str, status: str = "sent", **fields: object) -> int:
    """How many messages that changed."""
    results = Jsonb([{"id": message, "lease": lease, "status": status, **fields}])
    row = connection.execute("SELECT reminder_private.settle_messages(%s)", [results]).fetchone()
    assert row
    return int(row[0])


class RecordingChannel:
    """A provider that takes everything, unless `answer` says otherwise. `taken` is in the order of arrival."""

    def __init__(self, name: str = "email", answer: Callable[[Message], Result] | None = None) -> None:
        self.name = name
        self.taken: list[Message] = []
        self._answer = answer or (lambda message: Result(Status.SENT, provider_message_id=uuid4().hex))

    def send(self, message: Message, *, test: bool = False) -> Result:
        result = self._answer(message)
        if result.status is Status.SENT:
            self.taken.append(message)
        return result


def refuses(message: Message) -> Result:
    raise AccountError("ses: SendingPausedException")


def at(text: str) -> datetime:
    """An aware time."""
    return datetime.fromisoformat(text)
