"""
Errors, each with a sentence that is safe to show.

Every error that this project raises on purpose to a handler is a `ReminderError`. We wrote its text, so it may be
shown in the ledger, in an alert and in a log: no row values, no names, no DSNs (docs/architecture.md#no-personal-data).
Of any other, unexpected error only the class name is shown (`safe_message`).
"""

from __future__ import annotations

from reminders.text import printable

MESSAGE_LIMIT = 1_000


class ReminderError(Exception):
    """An error whose text is safe to show to an operator."""


class SettingsError(ReminderError):
    """An environment variable is missing or malformed. Names it; a retry does not help."""


class EventError(ReminderError):
    """The function does not accept this event. The message says what it accepts."""


class SecretError(ReminderError):
    """A secret could not be read, or does not hold what it should. Names the secret, not its value."""


class DatabaseError(ReminderError):
    """
    PostgreSQL refused a statement.

    `sqlstate` is the five-character code of PostgreSQL's appendix "Error Codes", or None.
    """

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class DatabaseUnavailable(DatabaseError):
    """
    No connection, or the connection is gone. A retry may help.

    `hint` says what an operator can do about it, where that is known.
    """

    def __init__(self, message: str, sqlstate: str | None = None, hint: str = "") -> None:
        super().__init__(message, sqlstate)
        self.hint = hint


class IdentityError(ReminderError):
    """The caller's token is missing or not valid. The reason is logged, and not returned to the caller."""


class IdentityUnavailable(ReminderError):
    """No key is available to check a token. A retry may help."""


class AssignmentNotFound(ReminderError):
    """There is no such assignment among those that the caller may see."""


class DateRefused(ReminderError):
    """A contact date that is not possible: in the future, or before the assignment."""


class TickDone(ReminderError):
    """A scheduled run of this tick has succeeded; another one has nothing to do (docs/architecture.md#one-tick)."""


class AsOfRefused(ReminderError):
    """The date is not that of the run, or too far ahead for a dry run."""


class RunSettledElsewhere(ReminderError):
    """Another process settled this run: it may dispatch nothing more (docs/architecture.md#abandoned)."""


class AssignmentsFailed(ReminderError):
    """Half or more of the assignments that were due failed by an error. The next run tries them again."""


class DeadlineExceeded(ReminderError):
    """The run ran out of time. What it dispatched stays dispatched. The next run does the rest."""

    def __init__(self, message: str) -> None:
        super().__init__(f"deadline_exceeded: {message}")


class SchedulerError(ReminderError):
    """
    The ReminderSchedulerService could not be reached, or did not answer with a result.

    `http_status` is its status when it answered with one that is not 2xx, else None.
    """

    def __init__(self, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status


def safe_message(error: BaseException) -> str:
    """One printable line about `error` for ledger, alert and log: `MESSAGE_LIMIT` characters at most, no row value."""
    if isinstance(error, ReminderError):
        text = printable(" ".join(str(error).split())) or type(error).__name__
    else:
        text = f"unexpected {type(error).__name__}"
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
