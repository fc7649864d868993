"""
Failures that the ledger cannot tell of, because it could not be reached: they go straight to the channels.

There is no outbox to say "already told" then. A warm process remembers what it told last, so that Lambda's
retries of one event mostly stay quiet; a retry in a new process tells once more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from handlers.wiring.alerts import alert_channels
from reminders.alerts.direct import DELIVERED, send_now
from reminders.alerts.message import Alert
from reminders.errors import DatabaseError, ReminderError, SecretError, safe_message
from reminders.runs import JOB_NAME
from reminders.telemetry import logger

_told: set[str] = set()


@contextmanager
def told_directly(
    occasion: str, errors: tuple[type[ReminderError], ...] = (DatabaseError, SecretError)
) -> Iterator[None]:
    """
    Alert when the work inside fails with one of `errors`, unrecorded; the error goes on.

    `occasion` names the tick, or whatever it is that must not be told twice.
    """
    try:
        yield
    except errors as error:
        if not error.recorded:
            _tell(occasion, error)
        raise
    _told.discard(occasion)


def _tell(occasion: str, error: ReminderError) -> None:
    if occasion in _told:
        logger.warning("unrecorded failure was told before", extra={"occasion": occasion})
        return
    text = f"nothing could be recorded in the ledger: {safe_message(error)}"
    try:
        answers = send_now(alert_channels(), Alert("failure", JOB_NAME, error_message=text))
    except Exception as second:  # the original error wins (design, rule 12)
        logger.error("unrecorded failure not told", extra={"reason": safe_message(second)})
        return
    if DELIVERED in answers.values():
        _told.add(occasion)
