"""What an admin changes on a page besides a contact date: database functions check it and write the audit row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reminders import database
from reminders.console.reading import queries
from reminders.contacts.correction import LIMITS
from reminders.database import Connection
from reminders.errors import DatabaseError, ReminderError
from reminders.identity import Caller
from reminders.telemetry import logger

# Raised by the functions: PostgREST answers 412, and 404, for them.
_CHANGED, _NO_SUCH = "PT412", "PT404"


class ChangedMeanwhile(ReminderError):
    """It is not what the admin saw: another one has changed it."""


class NoSuchOrganisation(ReminderError):
    """There is no such organisation among the caller's."""


@dataclass(frozen=True, slots=True)
class _Changed:
    changed_at: datetime | None
    has_changed: bool


def set_thresholds(
    connection: Connection,
    caller: Caller,
    org_id: UUID,
    reminder_days: int,
    escalation_days: int,
    seen: tuple[int | None, int | None],
) -> None:
    """Set both, in days. `seen` are the values that may be replaced. Raise the two errors above."""
    try:
        with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
            queries.one(
                connection,
                "set_thresholds",
                _Changed,
                org_id=org_id,
                reminder_days=reminder_days,
                escalation_days=escalation_days,
                expected_reminder_days=seen[0],
                expected_escalation_days=seen[1],
            )
    except DatabaseError as error:
        if error.sqlstate == _CHANGED:
            raise ChangedMeanwhile("the thresholds are other ones by now") from None
        if error.sqlstate == _NO_SUCH:
            raise NoSuchOrganisation("there is no such organisation") from None
        raise
    logger.info("thresholds set", extra={"org_id": str(org_id), "by": str(caller.user_id)})
