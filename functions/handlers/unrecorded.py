"""
Failures that neither the ledger nor the outbox records: they go straight to every channel, whatever their class.

There is no outbox to say "already reported" then. A warm process remembers what it reported last, so that Lambda's
retries of one event mostly stay quiet; a retry in a new process reports once more.
"""

from __future__ import annotations

from handlers.wiring.alerts import working_channels
from reminders.alerts.direct import DELIVERED, send_now
from reminders.alerts.message import Alert
from reminders.errors import EventError, safe_message
from reminders.runs import JOB_NAME
from reminders.telemetry import logger

_told: set[str] = set()


def report(
    occasion: str,
    error: BaseException,
    *,
    job_name: str = JOB_NAME,
    what: str = "nothing could be recorded in the ledger",
) -> None:
    """
    Alert that `error` ended what was to be done, unrecorded; raise nothing.

    `occasion` names the tick, or whatever it is that must not be reported twice. An event that was refused is not
    reported: its sender reads the answer, and a scheduled time that is lost this way is reported by the watchdog.
    """
    if isinstance(error, EventError):
        return
    if occasion in _told:
        logger.warning("unrecorded failure was told before", extra={"occasion": occasion})
        return
    text = f"{what}: {safe_message(error)}"
    try:
        answers = send_now(working_channels(), Alert("failure", job_name, error_message=text))
    except Exception as second:  # the original error wins
        logger.error("unrecorded failure not told", extra={"reason": safe_message(second)})
        return
    if DELIVERED in answers.values():
        _told.add(occasion)


def forget(occasion: str) -> None:
    """After a success the next failure of `occasion` is reported again."""
    _told.discard(occasion)
