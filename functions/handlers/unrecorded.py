"""
Failures that neither the ledger nor the outbox records: they go straight to every channel, whatever their class.

Without a database there is no outbox that prevents a second report. A warm process remembers its last report, so
Lambda's retries of one event usually send no second alert; a retry in a new process reports once more.
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
    Send an alert: `error` ended the invocation, and the ledger has no row for it. Raise nothing.

    `occasion` identifies the failure, so that it is reported once. An event that was refused is not reported: the
    caller reads the error, and the watchdog reports a scheduled time that is lost this way.
    """
    if isinstance(error, EventError):
        return
    if occasion in _told:
        logger.warning("unrecorded failure was reported before", extra={"occasion": occasion})
        return
    text = f"{what}: {safe_message(error)}"
    try:
        answers = send_now(working_channels(), Alert("failure", job_name, error_message=text))
    except Exception as second:  # the original error wins
        logger.error("unrecorded failure could not be reported", extra={"reason": safe_message(second)})
        return
    if DELIVERED in answers.values():
        _told.add(occasion)


def forget(occasion: str) -> None:
    """After a success the next failure of `occasion` is reported again."""
    _told.discard(occasion)
