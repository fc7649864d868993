"""A message for tests, with what the test is about."""

from __future__ import annotations

import dataclasses
from datetime import date
from uuid import UUID

from reminders.messages.message import Message

MESSAGE = Message(
    message_id=1,
    org_id=UUID(int=0xA),
    recipient_id=UUID(int=0xB),
    local_date=date(2026, 11, 25),
    attempts=1,
    organisation="Friends",
    locale="en",
    email="mentor@example.org",
    devices=None,
    reminders=1,
    escalations=0,
    reminder_gap=12,
    escalation_gap=0,
)


def message(**fields: object) -> Message:
    return dataclasses.replace(MESSAGE, **fields)  # type: ignore[arg-type]
