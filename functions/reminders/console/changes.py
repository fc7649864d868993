"""An admin's changes of settings: database functions check them and write the audit row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from reminders import database
from reminders.console.reading import queries
from reminders.contacts.correction import LIMITS
from reminders.database import Connection
from reminders.errors import DatabaseError, ReminderError
from reminders.identity import Caller
from reminders.telemetry import logger

# SQLSTATEs of the functions: PostgREST answers 412 and 404 for the first two. invalid_parameter_value comes from the
# trigger that checks the time zone; everything else was checked before.
_CHANGED, _NO_SUCH, _UNKNOWN_ZONE = "PT412", "PT404", "22023"
_OF_ORGANISATION = ("display_name", "locale", "time_zone", "send_from", "send_until")


class ChangedMeanwhile(ReminderError):
    """Another admin has changed the settings since this admin loaded the page."""


class NoSuchOrganisation(ReminderError):
    """The caller has no organisation with this id."""


class UnknownTimeZone(ReminderError):
    """PostgreSQL does not know this time zone; `suggestions` are similar names."""

    def __init__(self, suggestions: list[str]) -> None:
        super().__init__("there is no such time zone")
        self.suggestions = suggestions


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an organisation. Times as in 08:00. `display_name` is empty if it has no name."""

    reminder_days: int
    escalation_days: int
    display_name: str
    locale: str
    time_zone: str
    send_from: str
    send_until: str


@dataclass(frozen=True, slots=True)
class _Changed:
    changed_at: datetime | None
    has_changed: bool


@dataclass(frozen=True, slots=True)
class _Zone:
    name: str


def save(
    connection: Connection, caller: Caller, org_id: UUID, wanted: Settings, seen: Mapping[str, str | int | None]
) -> None:
    """
    Save all settings, or none. `seen` has the values that the admin saw, by name.

    Raise `ChangedMeanwhile`, `NoSuchOrganisation` or `UnknownTimeZone`.
    """
    name = {"display_name": wanted.display_name or None}
    rest = {each: getattr(wanted, each) for each in _OF_ORGANISATION}
    try:
        with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
            queries.one(
                connection,
                "set_thresholds",
                _Changed,
                org_id=org_id,
                reminder_days=wanted.reminder_days,
                escalation_days=wanted.escalation_days,
                expected_reminder_days=seen["reminder_days"],
                expected_escalation_days=seen["escalation_days"],
            )
            expected = {each: seen[each] or None for each in _OF_ORGANISATION}
            queries.one(
                connection, "set_organisation", _Changed, org_id=org_id, **{**rest, **name}, expected=Jsonb(expected)
            )
    except DatabaseError as error:
        if error.sqlstate == _CHANGED:
            raise ChangedMeanwhile("the settings were changed in the meantime") from None
        if error.sqlstate == _NO_SUCH:
            raise NoSuchOrganisation("there is no such organisation") from None
        if error.sqlstate == _UNKNOWN_ZONE:
            raise UnknownTimeZone(_zones_like(connection, caller, wanted.time_zone)) from None
        raise
    logger.info("settings saved", extra={"org_id": str(org_id), "by": str(caller.user_id)})


def _zones_like(connection: Connection, caller: Caller, text: str) -> list[str]:
    with database.transaction(connection, {**LIMITS, **caller.database_settings()}):
        return [each.name for each in queries.all(connection, "time_zones_like", _Zone, text=text)]
