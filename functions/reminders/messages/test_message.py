"""The operator's test message: one person, every channel, and what each of them said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from reminders.database import Connection, Queries
from reminders.errors import EventError, ReminderError, safe_message
from reminders.messages.message import Message, MessageChannel, Status

queries = Queries(__package__, "courier.sql")


@dataclass(frozen=True, slots=True)
class _Recipient:
    email: str | None
    locale: str
    devices: list[dict[str, Any]] | None


def send(connection: Connection, channels: Sequence[MessageChannel], person: UUID) -> dict[str, Any]:
    """
    Send a marked message to `person` through each channel; nothing is written.

    Return `status` and, by channel, "sent" or the reason why not. Raise `EventError` for an unknown person.
    """
    found = queries.first(connection, "test_recipient", _Recipient, person=person)
    if found is None:
        raise EventError("there is no person with this recipient_id")
    message = Message(
        message_id=0,
        org_id=UUID(int=0),
        recipient_id=person,
        local_date=datetime.now(UTC).date(),
        attempts=1,
        organisation=None,
        locale=found.locale,
        email=found.email,
        devices=found.devices,  # type: ignore[arg-type]  # Message reads JSON's dictionaries
        reminders=0,
        escalations=0,
        reminder_gap=0,
        escalation_gap=0,
    )
    answers = {channel.name: _answer(channel, message) for channel in channels}
    works = bool(answers) and set(answers.values()) == {Status.SENT.value}
    return {"status": "success" if works else "failed", "note": "test_message", "channels": answers}


def _answer(channel: MessageChannel, message: Message) -> str:
    try:
        result = channel.send(message, test=True)
    except ReminderError as error:
        return safe_message(error)
    return result.account_error or result.error or result.status.value
